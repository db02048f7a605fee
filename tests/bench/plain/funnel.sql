-- As `funnel` per customer over the view interactions, with ClickHouse's own windowFunnel, for the
-- benchmark: step, name and how many got there.
WITH
    splitByChar(',', {steps:String}) AS wanted,
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
        FROM interactions
        GROUP BY customer_key
    )
SELECT step, wanted[step] AS name, countIf(level >= step) AS reached
FROM levels
ARRAY JOIN [1, 2, 3, 4] AS step
GROUP BY step
ORDER BY step
