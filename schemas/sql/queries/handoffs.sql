-- Handoffs
-- Where cases change the channel, and where customers then have to repeat themselves. A handoff is an
-- interaction on another channel than the last earlier interaction that shares a case with it. It is
-- lossy when one of its cases was asked about again before that case's next handoff: a moment of pain,
-- not retracted, of a rule of type `change` (in any catalog version) was caused by the handoff itself
-- or by a later interaction that shares the case and comes before the next handoff that has the case.
-- Filters choose the handoffs that count; what came before and after is looked for everywhere. Equal
-- times are ordered by event_id.
--
-- filters steps
--
-- column from_channel text: channel that the case was on
-- column to_channel text: channel on which it continued
-- column handoffs count: handoffs
-- column share share: of all handoffs
-- column carried_by_customer count: those of them that the customer made: direction inbound
-- column unknown count: those of them whose direction is not known
-- column customers count: distinct customers
-- column median_seconds seconds: median time since the last earlier interaction that shares a case
-- column lossy count: lossy handoffs
-- column lossy_share share: of the handoffs
WITH
    (
        SELECT groupUniqArray(toString(rule))
        FROM catalog_rules
        WHERE type = 'change' AND kind = 'pain'
    ) AS asking_rules,
    -- a case of a customer in order, cut before every handoff
    threads AS
    (
        SELECT
            any(cityHash64(customer_key)) AS customer,
            arraySplit(
                step -> step.from_channel != '',
                arraySort(
                    groupArray(
                        (
                            occurred_at,
                            event_id,
                            cityHash64(customer_key, event_id),
                            handoff_from,
                            channel,
                            direction,
                            hasAny(rules, asking_rules)
                        )::Tuple(
                            at DateTime64(6, 'UTC'),
                            event_id String,
                            id UInt64,
                            from_channel LowCardinality(String),
                            to_channel LowCardinality(String),
                            direction LowCardinality(String),
                            asked Bool
                        )
                    )
                )
            ) AS stretches
        FROM steps
        ARRAY JOIN cases AS thread
        GROUP BY cityHash64(customer_key, thread)
        HAVING max(handoff_from) != ''
    ),
    -- what a case says of the handoffs it has
    said AS
    (
        SELECT
            customer,
            arrayJoin(
                arrayFilter(
                    handoff -> handoff.from_channel != '',
                    arrayMap(
                        (stretch, earlier) -> (
                            stretch[1].id,
                            stretch[1].at,
                            stretch[1].from_channel,
                            stretch[1].to_channel,
                            stretch[1].direction,
                            earlier[-1].at,
                            arrayExists(step -> step.asked, stretch)
                        )::Tuple(
                            id UInt64,
                            at DateTime64(6, 'UTC'),
                            from_channel LowCardinality(String),
                            to_channel LowCardinality(String),
                            direction LowCardinality(String),
                            previous_at DateTime64(6, 'UTC'),
                            lossy Bool
                        ),
                        stretches,
                        arrayPushFront(arrayPopBack(stretches), [])
                    )
                )
            ) AS handoff
        FROM threads
    ),
    -- a handoff may have several cases
    told AS
    (
        SELECT
            any(customer) AS customer,
            any(handoff.from_channel) AS from_channel,
            any(handoff.to_channel) AS to_channel,
            any(handoff.direction) AS direction,
            max(handoff.lossy) AS asked_again,
            dateDiff('microsecond', max(handoff.previous_at), any(handoff.at)) / 1e6 AS seconds
        FROM said
        WHERE handoff.id GLOBAL IN
        (
            SELECT cityHash64(customer_key, event_id)
            FROM filtered_steps(
                since = {since:DateTime64(6, 'UTC')},
                until = {until:DateTime64(6, 'UTC')},
                segment = {segment:String},
                channel = {channel:String},
                stage = {stage:String},
                touchpoint = {touchpoint:String},
                outcome = {outcome:String}
            )
            WHERE handoff_from != ''
        )
        GROUP BY handoff.id
    )
SELECT
    from_channel,
    to_channel,
    count() AS handoffs,
    handoffs / sum(handoffs) OVER () AS share,
    countIf(direction = 'inbound') AS carried_by_customer,
    countIf(direction = '') AS unknown,
    uniqExact(customer) AS customers,
    quantileExactInclusive(0.5)(seconds) AS median_seconds,
    countIf(asked_again) AS lossy,
    lossy / handoffs AS lossy_share
FROM told
GROUP BY from_channel, to_channel
ORDER BY handoffs DESC, from_channel, to_channel
