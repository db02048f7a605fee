-- What analysts use of journeys: steps, journeys and customers out of the tables of 0011.
--
-- FINAL takes the newest version of a row and leaves out what was deleted; partition by partition,
-- because versions of a row are never in two of them with the older one alive. Old months, once
-- merged into one part, cost nothing more. Rows are as fresh as the last refresh (a few seconds);
-- the view interactions is as fresh as the last batch.

CREATE OR REPLACE VIEW ${database}.steps ${on_cluster}
(
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters',
    journey_number UInt32 COMMENT 'Number of the journey among the customer''s, from 1',
    step UInt32 COMMENT 'Number of the step in its journey, from 1',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When it happened',
    event_id String COMMENT 'Id of the event, unique for a customer',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint, or unclassified',
    channel LowCardinality(String) COMMENT 'Medium: web, email, phone, store, …',
    stage LowCardinality(String) COMMENT 'Lifecycle stage, given what the customer did before',
    need LowCardinality(String) COMMENT 'What the customer wanted',
    segment LowCardinality(String) COMMENT 'Latest segment delivered of the customer, or empty',
    action LowCardinality(String) COMMENT 'What happened on the channel',
    direction LowCardinality(String) COMMENT 'inbound (from the customer), outbound, or empty where unknown',
    outcome LowCardinality(String) COMMENT 'Outcome that it reached, or empty',
    journey_outcome LowCardinality(String) COMMENT 'Last outcome that its journey reached, or empty',
    previous_touchpoint LowCardinality(String) COMMENT 'Touchpoint of the customer''s previous interaction, also of an earlier journey; empty at the first',
    previous_channel LowCardinality(String) COMMENT 'Channel of that interaction',
    seconds_since_previous Nullable(Float64) COMMENT 'Time since that interaction, seconds',
    cases Array(String) COMMENT 'Threads it belongs to, each as kind:id, e.g. order_id:O-17',
    handoff_from LowCardinality(String) COMMENT 'Where a case of it was last on another channel: that channel; else empty',
    pains UInt16 COMMENT 'Moments of pain that it caused, resolved ones included, retracted ones not',
    glories UInt16 COMMENT 'Moments of glory that it caused, retracted ones not',
    rules Array(LowCardinality(String)) COMMENT 'Rules that found them',
    customer_hash UInt64 COMMENT 'Hash of customer_key: count distinct customers by it, it is four times as fast',
    refreshed_at DateTime64(6, 'UTC') COMMENT 'When the row was computed'
)
AS SELECT
    customer_key, journey_number, step, occurred_at, event_id, touchpoint, channel, stage, need,
    segment, action, direction, outcome, journey_outcome, previous_touchpoint, previous_channel,
    seconds_since_previous, cases, handoff_from, pains, glories, rules, customer_hash,
    fromUnixTimestamp64Micro(toInt64(version), 'UTC') AS refreshed_at
FROM ${database}.step_records FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Interactions of customers as steps of their journeys: one row an event';

CREATE OR REPLACE VIEW ${database}.journeys ${on_cluster}
(
    journey_id String COMMENT 'Id of the journey: MD5 of customer_key, a colon and the first event_id',
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier',
    journey_number UInt32 COMMENT 'Number among the customer''s journeys, from 1',
    segment LowCardinality(String) COMMENT 'Latest segment delivered of the customer, or empty',
    started_at DateTime64(6, 'UTC') COMMENT 'When its first interaction happened',
    ended_at DateTime64(6, 'UTC') COMMENT 'When its last interaction happened',
    duration_seconds Float64 COMMENT 'From the first interaction to the last, seconds',
    steps UInt64 COMMENT 'Number of interactions',
    path Array(LowCardinality(String)) COMMENT 'Touchpoints in order',
    path_collapsed Array(LowCardinality(String)) COMMENT 'Touchpoints in order, consecutive repeats as one',
    channels Array(LowCardinality(String)) COMMENT 'Distinct channels in the order of their first use',
    channel_changes UInt64 COMMENT 'How often the next interaction was on another channel',
    handoffs UInt32 COMMENT 'How often a case came from another channel',
    stages Array(LowCardinality(String)) COMMENT 'Distinct lifecycle stages in the order they were reached',
    first_touchpoint LowCardinality(String) COMMENT 'Touchpoint of the first interaction',
    last_touchpoint LowCardinality(String) COMMENT 'Touchpoint of the last interaction',
    outcome LowCardinality(String) COMMENT 'Last outcome that it reached, or empty',
    outcomes Array(LowCardinality(String)) COMMENT 'Outcomes in the order they were reached, each as often as it was',
    pains UInt32 COMMENT 'Moments of pain that its steps caused, resolved ones included, retracted ones not',
    glories UInt32 COMMENT 'Moments of glory that its steps caused, retracted ones not',
    rules Array(LowCardinality(String)) COMMENT 'Rules that found them, in the order of the steps',
    step_channels Array(LowCardinality(String)) COMMENT 'Channel of every step of the path',
    step_stages Array(LowCardinality(String)) COMMENT 'Lifecycle stage of every step of the path',
    step_outcomes Array(LowCardinality(String)) COMMENT 'Outcome of every step of the path, or empty',
    step_at Array(DateTime64(6, 'UTC')) COMMENT 'When every step of the path happened',
    refreshed_at DateTime64(6, 'UTC') COMMENT 'When the row was computed'
)
AS SELECT
    lower(hex(MD5(concat(customer_key, ':', first_event_id)))) AS journey_id,
    customer_key, journey_number, segment, started_at, ended_at,
    dateDiff('microsecond', started_at, ended_at) / 1e6 AS duration_seconds,
    length(path) AS steps,
    path,
    arrayCompact(path) AS path_collapsed,
    arrayDistinct(step_channels) AS channels,
    toUInt64(length(arrayCompact(step_channels)) - 1) AS channel_changes,
    handoffs,
    arrayDistinct(step_stages) AS stages,
    path[1] AS first_touchpoint,
    path[-1] AS last_touchpoint,
    outcomes[-1] AS outcome,
    arrayFilter(reached -> reached != '', step_outcomes) AS outcomes,
    pains, glories, rules, step_channels, step_stages, step_outcomes, step_at,
    fromUnixTimestamp64Micro(toInt64(version), 'UTC') AS refreshed_at
FROM ${database}.journey_records FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Journeys of customers, cut at the gap and the outcomes of the catalog';

-- The filters that every named query takes. Of steps: those that happened in the time, on the channel,
-- at the stage, at the touchpoint, in journeys that reached the outcome. Of journeys: those that
-- began in the time and have any such step, whole. Empty asks for all; (none) for customers without a
-- segment, or journeys without an outcome.

CREATE OR REPLACE VIEW ${database}.filtered_steps ${on_cluster}
AS SELECT *
FROM ${database}.steps
WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
    AND occurred_at < {until:DateTime64(6, 'UTC')}
    AND ({segment:String} = '' OR segment = if({segment:String} = '(none)', '', {segment:String}))
    AND ({channel:String} = '' OR channel = {channel:String})
    AND ({stage:String} = '' OR stage = {stage:String})
    AND ({touchpoint:String} = '' OR touchpoint = {touchpoint:String})
    AND (
        {outcome:String} = '' OR journey_outcome = if({outcome:String} = '(none)', '', {outcome:String})
    )
COMMENT 'Steps that named queries count: SELECT … FROM filtered_steps(since = …, until = …, segment = …, channel = …, stage = …, touchpoint = …, outcome = …)';

CREATE OR REPLACE VIEW ${database}.filtered_journeys ${on_cluster}
AS SELECT *
FROM ${database}.journeys
WHERE started_at >= {since:DateTime64(6, 'UTC')}
    AND started_at < {until:DateTime64(6, 'UTC')}
    AND ({segment:String} = '' OR segment = if({segment:String} = '(none)', '', {segment:String}))
    AND ({channel:String} = '' OR has(step_channels, {channel:String}))
    AND ({stage:String} = '' OR has(step_stages, {stage:String}))
    AND ({touchpoint:String} = '' OR has(path, {touchpoint:String}))
    AND (
        {outcome:String} = '' OR outcome = if({outcome:String} = '(none)', '', {outcome:String})
    )
COMMENT 'Journeys that named queries count: SELECT … FROM filtered_journeys(since = …, until = …, segment = …, channel = …, stage = …, touchpoint = …, outcome = …)';

-- Arrays sorted per customer and not ClickHouse's sequence functions, which leave the order of equal
-- times open.
CREATE OR REPLACE VIEW ${database}.journeys_by_gap ${on_cluster}
AS SELECT
    lower(hex(MD5(concat(customer_key, ':', journey[1].2)))) AS journey_id,
    customer_key,
    journey_number,
    segment,
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
    path[-1] AS last_touchpoint,
    arrayFilter(reached -> reached != '', journey.6) AS outcomes,
    outcomes[-1] AS outcome
FROM
(
    SELECT
        customer_key,
        any(steps.segment) AS segment,
        arraySort(groupArray((occurred_at, event_id, touchpoint, channel, stage, outcome))) AS history,
        arrayDifference(
            arrayMap(step -> toUnixTimestamp64Micro(step.1), history)
        ) AS silence_microseconds,
        arraySplit(
            (step, silence) -> silence > {gap_seconds:Float64} * 1e6,
            history,
            silence_microseconds
        ) AS journeys
    FROM ${database}.steps
    GROUP BY customer_key
) AS customers
ARRAY JOIN
    journeys AS journey,
    arrayEnumerate(journeys) AS journey_number
COMMENT 'Journeys cut at a gap of your choice: SELECT … FROM journeys_by_gap(gap_seconds = 1800)';

CREATE OR REPLACE VIEW ${database}.customers ${on_cluster}
(
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters',
    segment LowCardinality(String) COMMENT 'Latest segment delivered, or empty',
    interactions UInt64 COMMENT 'Interactions, each event once',
    journeys UInt64 COMMENT 'Journeys',
    first_at DateTime64(6, 'UTC') COMMENT 'When the first interaction happened',
    last_at DateTime64(6, 'UTC') COMMENT 'When the last interaction happened'
)
AS SELECT
    customer_key,
    any(segment) AS segment,
    sum(length(path)) AS interactions,
    count() AS journeys,
    min(started_at) AS first_at,
    max(ended_at) AS last_at
FROM ${database}.journey_records FINAL
GROUP BY customer_key
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Customers: one row each';

-- As in 0009, with the segment of the customer as it is known now.
CREATE OR REPLACE VIEW ${database}.moments_before ${on_cluster}
AS SELECT found.*, known.segment AS customer_segment
FROM (SELECT * FROM ${database}.moments WHERE occurred_at < {before:DateTime64(6, 'UTC')}) AS found
LEFT JOIN (SELECT customer_key, segment FROM ${database}.customers) AS known
    ON known.customer_key = found.customer_key
COMMENT 'Moments that occurred before a time, with the customer_segment: SELECT … FROM moments_before(before = ''2026-10-01'')';

CREATE OR REPLACE VIEW ${database}.promises_before ${on_cluster}
AS SELECT made.*, known.segment AS customer_segment
FROM (SELECT * FROM ${database}.promises WHERE made_at < {before:DateTime64(6, 'UTC')}) AS made
LEFT JOIN (SELECT customer_key, segment FROM ${database}.customers) AS known
    ON known.customer_key = made.customer_key
COMMENT 'Promises that were made before a time, with the customer_segment: SELECT … FROM promises_before(before = ''2026-10-01'')';

CREATE OR REPLACE VIEW ${database}.trust_between ${on_cluster}
AS SELECT
    customer_key,
    max(segment) AS segment,
    sum(glories) AS glories,
    sum(pains) AS pains,
    sum(open_pains) AS open_pains,
    glories - weight * pains AS balance,
    if(pains = 0, NULL, glories / (weight * pains)) AS ratio
FROM
(
    SELECT
        customer_key, '' AS segment, countIf(kind = 'glory') AS glories,
        countIf(kind = 'pain') AS pains, countIf(kind = 'pain' AND status = 'open') AS open_pains
    FROM ${database}.moments
    WHERE status != 'retracted'
        AND occurred_at >= {since:DateTime64(6, 'UTC')}
        AND occurred_at < {until:DateTime64(6, 'UTC')}
    GROUP BY customer_key
    UNION ALL
    SELECT customer_key, toString(segment), 0, 0, 0
    FROM ${database}.customers
    WHERE first_at < {until:DateTime64(6, 'UTC')}
) AS counted
CROSS JOIN
(
    SELECT if(count() = 0, 12, any(glories_per_pain)) AS weight
    FROM ${database}.current_catalog
) AS trust
GROUP BY customer_key, weight
COMMENT 'Trust balance over a time: SELECT … FROM trust_between(since = ''2026-10-01'', until = ''2026-11-01'')';

-- A customer's segment as of another time was nothing that anybody could check: gone.
DROP VIEW IF EXISTS ${database}.customers_before ${on_cluster};
