-- Transitions
-- Which touchpoint follows which, directly, within a journey (the directly-follows graph), and how
-- long it takes. Equal times are ordered by event_id. Moments of pain and glory are those that the
-- step arrived at caused; retracted ones are left out.
--
-- filters steps
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
SELECT
    from_touchpoint,
    to_touchpoint,
    transitions,
    customers,
    transitions / sum(transitions) OVER (PARTITION BY from_touchpoint) AS share,
    quantiles[1] AS median_seconds,
    quantiles[2] AS p90_seconds,
    pains,
    glories
FROM
(
    SELECT
        previous_touchpoint AS from_touchpoint,
        touchpoint AS to_touchpoint,
        count() AS transitions,
        uniqExact(customer_hash) AS customers,
        quantilesExactInclusive(0.5, 0.9)(assumeNotNull(seconds_since_previous)) AS quantiles,
        sum(steps.pains) AS pains,
        sum(steps.glories) AS glories
    FROM filtered_steps(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    ) AS steps
    WHERE if(
        {gap_days:Float64} = 0,
        step > 1,
        seconds_since_previous <= {gap_days:Float64} * 86400
    )
    GROUP BY from_touchpoint, to_touchpoint
)
ORDER BY transitions DESC, from_touchpoint, to_touchpoint
