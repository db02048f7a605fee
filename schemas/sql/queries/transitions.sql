-- Transitions
-- Which touchpoint follows which, directly, within a journey (the directly-follows graph), and how
-- long it takes. Equal times are ordered by event_id. Moments of pain and glory are those that the
-- step arrived at caused; retracted ones are left out.
--
-- param since DateTime64(6, 'UTC') = 1970-01-01: transitions that arrived at or after this
-- param until DateTime64(6, 'UTC') = 2100-01-01: transitions that arrived before this
-- param gap_days Float64 = 0: a silence longer than this begins a new journey, days; 0 takes the catalog's gap, a very large number never cuts
--
-- column from_touchpoint text: touchpoint that was left
-- column to_touchpoint text: touchpoint that followed; the same one where it was repeated
-- column transitions count: how often
-- column customers count: distinct customers
-- column share share: of the transitions that leave from_touchpoint
-- column median_seconds seconds: median time between the two
-- column p90_seconds seconds: 90th percentile of that time
-- column pains count: moments of pain that the arrivals at to_touchpoint caused, resolved ones included
-- column glories count: moments of glory that they caused
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
