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
    taken AS
    (
        SELECT customer_key, event_id, occurred_at, handoff_from, channel, direction
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
    ),
    -- a case of a customer in order, cut before every handoff
    threads AS
    (
        SELECT
            customer_key,
            arraySplit(
                step -> step.handed,
                arraySort(
                    groupArray(
                        (
                            occurred_at, event_id, handoff_from != '', hasAny(rules, asking_rules)
                        )::Tuple(at DateTime64(6, 'UTC'), event_id String, handed Bool, asked Bool)
                    )
                )
            ) AS stretches
        FROM steps
        ARRAY JOIN cases AS thread
        WHERE customer_key GLOBAL IN (SELECT customer_key FROM taken)
        GROUP BY customer_key, thread
    ),
    -- what each case of a handoff says of it
    followed AS
    (
        SELECT
            customer_key,
            arrayJoin(
                arrayMap(
                    (stretch, earlier) -> (
                        stretch[1].event_id,
                        earlier[-1].at,
                        arrayExists(step -> step.asked, stretch)
                    )::Tuple(event_id String, previous_at DateTime64(6, 'UTC'), lossy Bool),
                    stretches,
                    arrayPushFront(arrayPopBack(stretches), [])
                )
            ) AS handoff
        FROM threads
    )
SELECT
    handoff_from AS from_channel,
    channel AS to_channel,
    count() AS handoffs,
    handoffs / sum(handoffs) OVER () AS share,
    countIf(direction = 'inbound') AS carried_by_customer,
    uniqExact(cityHash64(customer_key)) AS customers,
    quantileExactInclusive(0.5)(dateDiff('microsecond', previous_at, occurred_at) / 1e6) AS median_seconds,
    countIf(asked_again) AS lossy,
    lossy / handoffs AS lossy_share
FROM taken
INNER JOIN
(
    SELECT
        customer_key,
        handoff.event_id AS event_id,
        max(handoff.previous_at) AS previous_at,
        max(handoff.lossy) AS asked_again
    FROM followed
    GROUP BY customer_key, event_id
) AS told ON told.customer_key = taken.customer_key AND told.event_id = taken.event_id
GROUP BY from_channel, to_channel
ORDER BY handoffs DESC, from_channel, to_channel
