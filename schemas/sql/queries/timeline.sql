-- Timeline
-- One customer's whole journey, step by step, in order, with the moments of pain and glory that each
-- step caused. What did not happen stands at the step that it should have followed.
--
-- param customer String: customer key, 32 hexadecimal characters; the command line also takes an identifier such as customer_id:C-17
-- param since DateTime64(6, 'UTC') = 1970-01-01: interactions that happened at or after this
-- param until DateTime64(6, 'UTC') = 2100-01-01: interactions that happened before this
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
WITH if(
    {gap_days:Float64} > 0,
    {gap_days:Float64} * 86400,
    (SELECT if(count() = 0, inf, toFloat64(any(journey_gap_seconds))) FROM current_catalog)
) AS gap
SELECT
    occurred_at, seconds_since_previous, touchpoint, channel, stage, journey_number, action,
    direction, need, event_id, moments
FROM
(
    SELECT
        *,
        1 + countIf(seconds_since_previous > gap) OVER (
            ORDER BY occurred_at, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS journey_number
    FROM
    (
        SELECT
            occurred_at, event_id, stage, touchpoint, channel, action, direction, need,
            if(
                row_number() OVER history = 1,
                NULL,
                dateDiff('microsecond', lagInFrame(occurred_at) OVER history, occurred_at) / 1e6
            ) AS seconds_since_previous
        FROM interactions
        WHERE customer_key = {customer:String}
        WINDOW history AS (
            ORDER BY occurred_at, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )
    )
) AS steps
LEFT JOIN
(
    SELECT event_id AS cause, moments FROM moments_by_event
    WHERE customer_key = {customer:String}
) AS felt ON felt.cause = steps.event_id
WHERE occurred_at >= {since:DateTime64(6, 'UTC')} AND occurred_at < {until:DateTime64(6, 'UTC')}
ORDER BY occurred_at, event_id
