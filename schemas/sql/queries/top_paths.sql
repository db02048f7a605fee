-- Top paths
-- The sequences of touchpoints that customers take most, journey by journey. Every journey counts
-- once, whole or by its first `depth` steps; what is not among the `top` paths is added up in the
-- row `(other)`, so that journeys and shares always add up to all journeys.
--
-- filters journeys
-- param depth UInt16 = 6: steps of a path that count; 0 counts all
-- param top UInt32 = 20: paths to show; 0 shows all
-- param collapse_repeats Bool = true: whether consecutive repeats of a touchpoint are one step
-- param gap_days Float64 = 0: a silence longer than this begins a new journey, days; 0 takes the catalog's gap, a very large number never cuts
--
-- column path text: touchpoints in order; ends in … where the journey goes on
-- column paths count: distinct paths in this row: 1, or more in (other)
-- column journeys count: journeys that took it
-- column customers count: distinct customers
-- column share share: of all journeys
-- column median_duration_seconds seconds: median time from a journey's first interaction to its last
--
-- limit top
WITH
    taken AS
    (
        SELECT customer_key, duration_seconds, path, path_collapsed
        FROM filtered_journeys(
            since = {since:DateTime64(6, 'UTC')},
            until = {until:DateTime64(6, 'UTC')},
            segment = {segment:String},
            channel = {channel:String},
            stage = {stage:String},
            touchpoint = {touchpoint:String},
            outcome = {outcome:String}
        )
        WHERE {gap_days:Float64} = 0
        UNION ALL
        SELECT customer_key, duration_seconds, path, path_collapsed
        FROM journeys_by_gap(gap_seconds = {gap_days:Float64} * 86400)
        WHERE {gap_days:Float64} > 0
            AND started_at >= {since:DateTime64(6, 'UTC')}
            AND started_at < {until:DateTime64(6, 'UTC')}
            AND ({segment:String} = '' OR segment = if({segment:String} = '(none)', '', {segment:String}))
            AND ({channel:String} = '' OR has(channels, {channel:String}))
            AND ({stage:String} = '' OR has(stages, {stage:String}))
            AND ({touchpoint:String} = '' OR has(path, {touchpoint:String}))
            AND (
                {outcome:String} = ''
                OR outcome = if({outcome:String} = '(none)', '', {outcome:String})
            )
    ),
    cut AS
    (
        SELECT
            cityHash64(customer_key) AS customer,
            duration_seconds,
            if({collapse_repeats:Bool}, path_collapsed, path) AS whole,
            if({depth:UInt16} = 0, length(whole), {depth:UInt16}) AS counted,
            concat(
                arrayStringConcat(arraySlice(whole, 1, counted), ' > '),
                if(length(whole) > counted, ' > …', '')
            ) AS route
        FROM taken
    ),
    ranked AS
    (
        SELECT
            route,
            count() AS journeys,
            uniqExactState(customer) AS customers,
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
