-- As `transitions` over the view interactions, for the benchmark.
WITH if(
    {gap_days:Float64} > 0,
    {gap_days:Float64} * 86400,
    (SELECT if(count() = 0, inf, toFloat64(any(journey_gap_seconds))) FROM current_catalog)
) AS gap
SELECT
    from_touchpoint,
    to_touchpoint,
    count() AS transitions,
    uniqExact(arrived.customer_key) AS customers,
    transitions / sum(transitions) OVER (PARTITION BY from_touchpoint) AS share,
    quantileExactInclusive(0.5)(seconds) AS median_seconds,
    quantileExactInclusive(0.9)(seconds) AS p90_seconds,
    sum(felt.pains) AS pains,
    sum(felt.glories) AS glories
FROM
(
    SELECT
        customer_key,
        occurred_at,
        event_id,
        touchpoint AS to_touchpoint,
        lagInFrame(touchpoint) OVER history AS from_touchpoint,
        dateDiff('microsecond', lagInFrame(occurred_at) OVER history, occurred_at) / 1e6 AS seconds,
        row_number() OVER history AS step
    FROM interactions
    WINDOW history AS (
        PARTITION BY customer_key
        ORDER BY occurred_at, event_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
) AS arrived
LEFT JOIN (SELECT customer_key, event_id AS cause, pains, glories FROM moments_by_event) AS felt
    ON felt.customer_key = arrived.customer_key AND felt.cause = arrived.event_id
WHERE step > 1
    AND seconds <= gap
    AND occurred_at >= {since:DateTime64(6, 'UTC')}
    AND occurred_at < {until:DateTime64(6, 'UTC')}
GROUP BY from_touchpoint, to_touchpoint
ORDER BY transitions DESC, from_touchpoint, to_touchpoint
