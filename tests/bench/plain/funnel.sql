-- As `funnel` over the view interactions, with ClickHouse's own windowFunnel, for the benchmark: step,
-- name and how many journeys got there.
WITH
    splitByChar(',', {steps:String}) AS wanted,
    (SELECT toFloat64(any(journey_gap_seconds)) FROM current_catalog) AS gap,
    levels AS
    (
        SELECT
            windowFunnel(toUInt64({within_days:Float64} * 86400e6))(
                toUInt64(toUnixTimestamp64Micro(occurred_at)),
                touchpoint = wanted[1],
                touchpoint = wanted[2],
                touchpoint = wanted[3],
                touchpoint = wanted[4]
            ) AS level
        FROM
        (
            SELECT
                customer_key, occurred_at, touchpoint,
                countIf(silence > gap) OVER (
                    PARTITION BY customer_key
                    ORDER BY occurred_at, event_id
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                ) AS journey_number
            FROM
            (
                SELECT
                    customer_key, occurred_at, event_id, touchpoint,
                    dateDiff(
                        'microsecond',
                        lagInFrame(occurred_at, 1, occurred_at) OVER (
                            PARTITION BY customer_key
                            ORDER BY occurred_at, event_id
                            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                        ),
                        occurred_at
                    ) / 1e6 AS silence
                FROM interactions
            )
        )
        GROUP BY customer_key, journey_number
    )
SELECT step, wanted[step] AS name, countIf(level >= step) AS reached
FROM levels
ARRAY JOIN [1, 2, 3, 4] AS step
GROUP BY step
ORDER BY step
