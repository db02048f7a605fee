-- Journeys: a customer's interactions in order, cut where the silence between two of them is longer
-- than a gap. Order is (occurred_at, event_id), so equal times have one order, always the same.
--
-- `journeys` cuts at the gap of the current catalog (never, before a catalog was published);
-- `journeys_by_gap(gap_seconds = …)` at any other, and a very large one leaves a customer whole.
-- Arrays sorted per customer and not ClickHouse's sequence functions, which leave the order of
-- equal times open. A late event can join two journeys or begin one earlier: then its id changes.

CREATE OR REPLACE VIEW ${database}.journeys_by_gap ${on_cluster}
AS SELECT
    lower(hex(MD5(concat(customer_key, ':', journey[1].2)))) AS journey_id,
    customer_key,
    journey_number,
    arrayLast(segment -> segment != '', journey.6) AS segment,
    journey[1].1 AS started_at,
    journey[-1].1 AS ended_at,
    dateDiff('microsecond', started_at, ended_at) / 1e6 AS duration_seconds,
    length(journey) AS steps,
    journey.3 AS path,
    arrayCompact(path) AS path_collapsed,
    arrayDistinct(journey.4) AS channels,
    toUInt64(length(arrayCompact(journey.4)) - 1) AS channel_changes,
    arrayDistinct(journey.5) AS stages,
    path[1] AS first_touchpoint,
    path[-1] AS last_touchpoint
FROM
(
    SELECT
        customer_key,
        arraySort(
            groupArray((occurred_at, event_id, touchpoint, channel, stage, segment))
        ) AS history,
        arrayDifference(
            arrayMap(step -> toUnixTimestamp64Micro(step.1), history)
        ) AS silence_microseconds,
        arraySplit(
            (step, silence) -> silence > {gap_seconds:Float64} * 1e6,
            history,
            silence_microseconds
        ) AS journeys
    FROM ${database}.interactions
    GROUP BY customer_key
) AS customers
ARRAY JOIN
    journeys AS journey,
    arrayEnumerate(journeys) AS journey_number
COMMENT 'Journeys cut at a gap of your choice: SELECT … FROM journeys_by_gap(gap_seconds = 1800)';

CREATE OR REPLACE VIEW ${database}.journeys ${on_cluster}
(
    journey_id String COMMENT 'Id of the journey: MD5 of customer_key, a colon and the first event_id',
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier',
    journey_number UInt32 COMMENT 'Number among the customer''s journeys, from 1',
    segment String COMMENT 'Latest segment delivered in the journey, or empty',
    started_at DateTime64(6, 'UTC') COMMENT 'When its first interaction happened',
    ended_at DateTime64(6, 'UTC') COMMENT 'When its last interaction happened',
    duration_seconds Float64 COMMENT 'From the first interaction to the last, seconds',
    steps UInt64 COMMENT 'Number of interactions',
    path Array(String) COMMENT 'Touchpoints in order',
    path_collapsed Array(String) COMMENT 'Touchpoints in order, consecutive repeats as one',
    channels Array(String) COMMENT 'Distinct channels in the order of their first use',
    channel_changes UInt64 COMMENT 'How often the next interaction was on another channel',
    stages Array(String) COMMENT 'Distinct lifecycle stages in the order they were reached',
    first_touchpoint String COMMENT 'Touchpoint of the first interaction',
    last_touchpoint String COMMENT 'Touchpoint of the last interaction'
)
AS SELECT
    journey_id, customer_key, journey_number, segment, started_at, ended_at, duration_seconds,
    steps, path, path_collapsed, channels, channel_changes, stages, first_touchpoint,
    last_touchpoint
FROM ${database}.journeys_by_gap(
    gap_seconds = (
        SELECT if(count() = 0, inf, toFloat64(any(journey_gap_seconds))) FROM ${database}.current_catalog
    )
) AS cut
COMMENT 'Journeys of customers, cut at the gap of the current catalog';
