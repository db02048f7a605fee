-- Data quality
-- How far the data can be trusted: what is stored, what repeats, what no rule recognised, what was
-- rejected and why, and how late records came. Records are what Kafka delivered; an event is counted
-- by the record of it that stands first in Kafka, as in every other query, and its other records are
-- duplicates. An event that
-- reaches Kafka before its own time (a wrong clock) has a negative arrival delay. Late are records
-- that came beyond the allowed lateness; future those that claimed a time to come and were taken as
-- of their arrival. What was rejected is at no touchpoint and of no customer: where one of segment,
-- stage, touchpoint and outcome is asked for, none fits.
--
-- param since DateTime64(6, 'UTC') = 1970-01-01: what happened (rejected records: reached Kafka) at or after this
-- param until DateTime64(6, 'UTC') = 2100-01-01: what happened (rejected records: reached Kafka) before this
-- param segment String = : only customers of this segment, the latest delivered; (none) for those without
-- param channel String = : only records of this channel, by what they say (rejected records: by their topic)
-- param stage String = : only records of events at this lifecycle stage
-- param touchpoint String = : only records at this touchpoint
-- param outcome String = : only records of events in journeys whose last outcome is this; (none) for journeys without
--
-- column section text: stored, rejected, channels, time or delay
-- column measure text: what is measured; in rejected the reason, in channels the channel
-- column value measured: its value in `unit`; none for times and where there is nothing to measure
-- column unit text: records, events, share, seconds or time
-- column at time: the instant, where the unit is time
WITH
    stored AS
    (
        SELECT
            count() AS records,
            minOrNull(occurred_at) AS first_event,
            maxOrNull(occurred_at) AS last_event,
            quantileExactInclusiveOrNull(0.5)(arrival_delay) AS arrival_median,
            quantileExactInclusiveOrNull(0.99)(arrival_delay) AS arrival_p99,
            maxOrNull(arrival_delay) AS arrival_max,
            maxOrNull(dateDiff('millisecond', kafka_at, ingested_at) / 1e3) AS processing_max,
            countIf(clock = 'late') AS late,
            countIf(clock = 'future') AS future
        FROM
        (
            SELECT *, dateDiff('millisecond', occurred_at, kafka_at) / 1e3 AS arrival_delay
            FROM filtered_records(
                since = {since:DateTime64(6, 'UTC')},
                until = {until:DateTime64(6, 'UTC')},
                segment = {segment:String},
                channel = {channel:String},
                stage = {stage:String},
                touchpoint = {touchpoint:String},
                outcome = {outcome:String}
            )
        )
    ),
    recognised AS
    (
        SELECT count() AS events, countIf(touchpoint = 'unclassified') AS unclassified
        FROM
        (
            SELECT customer_key, event_id, occurred_at, channel, touchpoint
            FROM interaction_records
            ORDER BY customer_key, event_id, topic, topic_id, partition, offset, ingested_at DESC
            LIMIT 1 BY customer_key, event_id
        )
        WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
            AND occurred_at < {until:DateTime64(6, 'UTC')}
            AND ({channel:String} = '' OR channel = {channel:String})
            AND ({touchpoint:String} = '' OR touchpoint = {touchpoint:String})
            AND (
                ({segment:String} = '' AND {stage:String} = '' AND {outcome:String} = '')
                OR (customer_key, event_id) IN
                (
                    SELECT customer_key, event_id
                    FROM filtered_steps(
                        since = '1900-01-01',
                        until = '2299-01-01',
                        segment = {segment:String},
                        channel = '',
                        stage = {stage:String},
                        touchpoint = '',
                        outcome = {outcome:String}
                    )
                )
            )
    ),
    rejected AS
    (
        SELECT reason, count() AS records
        FROM rejections FINAL
        WHERE kafka_at >= {since:DateTime64(6, 'UTC')}
            AND kafka_at < {until:DateTime64(6, 'UTC')}
            AND ({channel:String} = '' OR endsWith(topic, concat('interactions.', {channel:String})))
            AND concat({segment:String}, {stage:String}, {touchpoint:String}, {outcome:String}) = ''
        GROUP BY reason
    ),
    by_channel AS
    (
        SELECT channel, sum(records) AS records
        FROM
        (
            SELECT channel, count() AS records
            FROM filtered_records(
                since = {since:DateTime64(6, 'UTC')},
                until = {until:DateTime64(6, 'UTC')},
                segment = {segment:String},
                channel = {channel:String},
                stage = {stage:String},
                touchpoint = {touchpoint:String},
                outcome = {outcome:String}
            )
            GROUP BY channel
            UNION ALL
            SELECT channel, 0 FROM channels WHERE {channel:String} IN ('', channel)
        )
        GROUP BY channel
    )
-- duplicates are what two of the lines below add up to
SELECT section, measure, sum(value) AS value, unit, max(at) AS at
FROM
(
    SELECT
        line.1 AS place, line.2 AS section, line.3 AS measure, line.4 AS value, line.5 AS unit,
        line.6 AS at
    FROM stored
    ARRAY JOIN [
        (11, 'stored', 'records', toNullable(toFloat64(records)), 'records', NULL),
        (13, 'stored', 'duplicates', toFloat64(records), 'records', NULL),
        (41, 'time', 'first_event', NULL, 'time', first_event),
        (42, 'time', 'last_event', NULL, 'time', last_event),
        (51, 'delay', 'arrival_delay_median', arrival_median, 'seconds', NULL),
        (52, 'delay', 'arrival_delay_p99', arrival_p99, 'seconds', NULL),
        (53, 'delay', 'arrival_delay_max', arrival_max, 'seconds', NULL),
        (54, 'delay', 'processing_delay_max', processing_max, 'seconds', NULL),
        (55, 'delay', 'late', toFloat64(late), 'records', NULL),
        (56, 'delay', 'future', toFloat64(future), 'records', NULL)
    ] AS line
    UNION ALL
    SELECT line.1, 'stored', line.2, line.3, line.4, NULL
    FROM recognised
    ARRAY JOIN [
        (12, 'events', toNullable(toFloat64(events)), 'events'),
        (13, 'duplicates', -toFloat64(events), 'records'),
        (14, 'unclassified', toNullable(toFloat64(unclassified)), 'events'),
        (15, 'unclassified_share', if(events = 0, NULL, unclassified / events), 'share')
    ] AS line
    UNION ALL
    SELECT 21, 'rejected', 'all', toFloat64(sum(records)), 'records', NULL FROM rejected
    UNION ALL
    SELECT 22, 'rejected', reason, toFloat64(records), 'records', NULL FROM rejected
    UNION ALL
    SELECT 31, 'channels', channel, toFloat64(records), 'records', NULL FROM by_channel
)
GROUP BY place, section, measure, unit
ORDER BY place, value DESC, measure
