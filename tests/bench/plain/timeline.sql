-- As `timeline` over the view interactions, for the benchmark.
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
