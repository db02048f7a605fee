-- As `top_paths` over the view interactions, for the benchmark.
WITH
    if(
        {gap_days:Float64} > 0,
        {gap_days:Float64} * 86400,
        (SELECT if(count() = 0, inf, toFloat64(any(journey_gap_seconds))) FROM current_catalog)
    ) AS gap,
    histories AS
    (
        SELECT
            customer_key,
            arraySort(groupArray((occurred_at, event_id, touchpoint))) AS history,
            arrayDifference(
                arrayMap(step -> toUnixTimestamp64Micro(step.1), history)
            ) AS silence_microseconds,
            arraySplit(
                (step, silence) -> silence > gap * 1e6, history, silence_microseconds
            ) AS journeys
        FROM interactions
        GROUP BY customer_key
    ),
    cut AS
    (
        SELECT
            customer_key,
            dateDiff('microsecond', journey[1].1, journey[-1].1) / 1e6 AS duration_seconds,
            if({collapse_repeats:Bool}, arrayCompact(journey.3), journey.3) AS whole,
            if({depth:UInt16} = 0, length(whole), {depth:UInt16}) AS counted,
            concat(
                arrayStringConcat(arraySlice(whole, 1, counted), ' > '),
                if(length(whole) > counted, ' > …', '')
            ) AS route
        FROM histories
        ARRAY JOIN journeys AS journey
        WHERE journey[1].1 >= {since:DateTime64(6, 'UTC')}
            AND journey[1].1 < {until:DateTime64(6, 'UTC')}
    ),
    ranked AS
    (
        SELECT
            route,
            count() AS journeys,
            uniqExactState(customer_key) AS customers,
            quantileExactInclusiveState(0.5)(duration_seconds) AS median,
            row_number() OVER (ORDER BY journeys DESC, route) AS place
        FROM cut
        GROUP BY route
    )
SELECT
    if({top:UInt32} = 0 OR place <= {top:UInt32}, route, '(other)') AS path,
    count() AS paths,
    sum(journeys) AS journeys,
    uniqExactMerge(customers) AS customers,
    journeys / sum(journeys) OVER () AS share,
    quantileExactInclusiveMerge(0.5)(median) AS median_duration_seconds
FROM ranked
GROUP BY path
ORDER BY min(place)
