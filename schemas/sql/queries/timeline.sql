-- Timeline
-- One customer's whole journey, step by step, in order, with the moments of pain and glory that each
-- step caused. What did not happen stands at the step that it should have followed.
--
-- param customer String: customer key, 32 hexadecimal characters; the command line also takes an identifier such as customer_id:C-17
-- filters steps
-- param gap_days Float64 = 0: a silence longer than this begins a new journey, days; 0 takes the catalog's gap, a very large number never cuts
--
-- column occurred_at time: when it happened
-- column seconds_since_previous seconds: time since the customer's previous interaction; none at the first
-- column touchpoint text: touchpoint
-- column channel text: channel
-- column stage text: lifecycle stage, given what the customer did before
-- column journey_number number: number among the customer's journeys, from 1
-- column action text: what happened on the channel
-- column direction text: inbound, outbound or empty
-- column need text: what the customer wanted
-- column event_id text: id of the event
-- column moments list: moments that it caused, as kind, rule and status; retracted ones are left out
SELECT
    occurred_at, seconds_since_previous, touchpoint, channel, stage,
    if({gap_days:Float64} = 0, of_catalog, of_gap) AS journey_number,
    action, direction, need, event_id, moments
FROM
(
    SELECT
        occurred_at, event_id, stage, touchpoint, channel, action, direction, need,
        seconds_since_previous, segment, journey_outcome,
        steps.journey_number AS of_catalog,
        1 + countIf(seconds_since_previous > {gap_days:Float64} * 86400) OVER (
            ORDER BY occurred_at, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS of_gap
    FROM steps
    WHERE customer_key = {customer:String}
) AS walked
LEFT JOIN
(
    SELECT event_id AS cause, moments FROM moments_by_event
    WHERE customer_key = {customer:String}
) AS felt ON felt.cause = walked.event_id
-- only now: what is left out still was the previous interaction, and cut journeys
WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
    AND occurred_at < {until:DateTime64(6, 'UTC')}
    AND ({segment:String} = '' OR segment = if({segment:String} = '(none)', '', {segment:String}))
    AND ({channel:String} = '' OR channel = {channel:String})
    AND ({stage:String} = '' OR stage = {stage:String})
    AND ({touchpoint:String} = '' OR touchpoint = {touchpoint:String})
    AND (
        {outcome:String} = '' OR journey_outcome = if({outcome:String} = '(none)', '', {outcome:String})
    )
ORDER BY occurred_at, event_id
