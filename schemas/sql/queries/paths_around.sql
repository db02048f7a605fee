-- Paths around a touchpoint
-- How customers get to a touchpoint and what they do next: the `depth` steps before it and the
-- `depth` steps after it within the same journey, at the first occurrence of the touchpoint in each
-- journey or at every one. Where the journey begins or ends within that, the path begins with
-- `(start)` or ends in `(end)`. What is not among the `top` paths is added up in the row `(other)`,
-- so that the rows always add up to all occurrences counted. Looks at whole journeys that began in
-- the time asked for.
--
-- filters journeys
-- param at String: touchpoint to look from
-- param which Enum('first', 'every') = first: occurrences that count: the first in each journey, or every one
-- param depth UInt8 = 2: steps before and after it that count
-- param top UInt32 = 20: paths to show; 0 shows all
-- param collapse_repeats Bool = true: whether consecutive repeats of a touchpoint are one step
--
-- column path text: touchpoints in order, the one looked from in brackets; (start) and (end) where the journey begins and ends
-- column paths count: distinct paths in this row: 1, or more in (other)
-- column occurrences count: occurrences of the touchpoint with this path
-- column customers count: distinct customers
-- column share share: of all occurrences counted
-- column median_seconds seconds: median time from the first step of the path to its last
--
-- limit top
WITH
    walked AS
    (
        SELECT
            cityHash64(customer_key) AS customer,
            arrayFilter(
                (_, touchpoint, previous) -> NOT {collapse_repeats:Bool} OR touchpoint != previous,
                arrayZip(path, step_at),
                path,
                arrayShiftRight(path, 1)
            ) AS steps_counted,
            steps_counted.1 AS touchpoints,
            steps_counted.2 AS times,
            indexOf(touchpoints, {at:String}) AS first_met,
            arrayMap(
                (touchpoint, place) -> touchpoint = {at:String}
                    AND ({which:Enum('first', 'every')} = 'every' OR place = first_met),
                touchpoints,
                arrayEnumerate(touchpoints)
            ) AS met
        FROM filtered_journeys(
            since = {since:DateTime64(6, 'UTC')},
            until = {until:DateTime64(6, 'UTC')},
            segment = {segment:String},
            channel = {channel:String},
            stage = {stage:String},
            touchpoint = {touchpoint:String},
            outcome = {outcome:String}
        )
        WHERE has(path, {at:String})
    ),
    -- the paths of all occurrences at once, one step longer each time: linear in a journey's length
    looked AS
    (
        SELECT
            customer,
            arrayFold(
                (routes, distance) -> arrayMap(
                    (route, next) -> if(startsWith(route, '(start)'), route, concat(next, ' > ', route)),
                    routes,
                    arrayFilter(
                        (_, counts) -> counts, arrayShiftRight(touchpoints, distance, '(start)'), met
                    )
                ),
                range(1, {depth:UInt8} + 1),
                arrayFold(
                    (routes, distance) -> arrayMap(
                        (route, next) -> if(endsWith(route, '(end)'), route, concat(route, ' > ', next)),
                        routes,
                        arrayFilter(
                            (_, counts) -> counts, arrayShiftLeft(touchpoints, distance, '(end)'), met
                        )
                    ),
                    range(1, {depth:UInt8} + 1),
                    arrayMap(_ -> concat('[', {at:String}, ']'), arrayFilter(counts -> counts, met))
                )
            ) AS routes,
            arrayFilter(
                (_, counts) -> counts,
                arrayMap(
                    (began, ended) -> dateDiff('microsecond', began, ended) / 1e6,
                    arrayShiftRight(times, {depth:UInt8}, times[1]),
                    arrayShiftLeft(times, {depth:UInt8}, times[-1])
                ),
                met
            ) AS durations
        FROM walked
    ),
    ranked AS
    (
        SELECT
            route,
            count() AS occurrences,
            uniqExactState(customer) AS customers,
            quantileExactInclusiveState(0.5)(seconds) AS median,
            row_number() OVER (ORDER BY occurrences DESC, route) AS place
        FROM looked
        ARRAY JOIN routes AS route, durations AS seconds
        GROUP BY route
    )
SELECT
    if({top:UInt32} = 0 OR place <= {top:UInt32}, route, '(other)') AS path,
    count() AS paths,
    sum(occurrences) AS occurrences,
    uniqExactMerge(customers) AS customers,
    occurrences / sum(occurrences) OVER () AS share,
    quantileExactInclusiveMerge(0.5)(median) AS median_seconds
FROM ranked
GROUP BY path
ORDER BY min(place)
