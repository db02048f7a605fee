-- Funnel
-- How many get from step to step of a list that you give, and how long each takes. Other interactions
-- may lie between. The steps of a journey are walked in their order, (occurred_at, event_id): from an
-- interaction of the first step on, each next step is the first interaction of it after the one
-- before. The walk ends where there is none, or none within `within_days` of its first. Of the walks
-- from every interaction of the first step the one that reaches furthest counts, of these the
-- earliest. With `strict` a step must happen at a later time than the one before; without, one at the
-- same time may follow in the order of event_id. With `per` customer, the journeys of a customer are
-- walked as one. Looks at whole journeys that began in the time asked for.
--
-- filters journeys
-- param steps String = : steps in order, separated by commas; empty takes those of the catalog that occur, in its order
-- param by Enum('stage', 'touchpoint', 'outcome', 'channel') = stage: what the steps are
-- param within_days Float64 = 0: days from the first step that count; 0 sets no limit
-- param strict Bool = false: whether a step must happen later than the one before, not at the same time
-- param per Enum('journey', 'customer') = journey: what is counted
--
-- column step number: number of the step, from 1
-- column name text: stage, touchpoint, outcome or channel
-- column reached count: journeys or customers that got here
-- column share_of_first share: of those that reached the first step
-- column share_of_previous share: of those that reached the step before
-- column median_seconds seconds: median time since the step before; none at the first
-- column p90_seconds seconds: 90th percentile of that time
WITH
    chosen AS
    (
        SELECT
            cityHash64(customer_key) AS customer,
            journey_number,
            multiIf(
                {by:Enum('stage', 'touchpoint', 'outcome', 'channel')} = 'stage', step_stages,
                {by:Enum('stage', 'touchpoint', 'outcome', 'channel')} = 'touchpoint', path,
                {by:Enum('stage', 'touchpoint', 'outcome', 'channel')} = 'outcome', step_outcomes,
                step_channels
            ) AS names,
            step_at
        FROM filtered_journeys(
            since = {since:DateTime64(6, 'UTC')},
            until = {until:DateTime64(6, 'UTC')},
            segment = {segment:String},
            channel = {channel:String},
            stage = {stage:String},
            touchpoint = {touchpoint:String},
            outcome = {outcome:String}
        )
    ),
    (
        SELECT groupArray(name)
        FROM
        (
            SELECT name
            FROM
            (
                SELECT 'stage' AS kind, toString(stage) AS name, position FROM stages
                UNION ALL SELECT 'touchpoint', toString(touchpoint), position FROM touchpoints
                UNION ALL SELECT 'outcome', toString(outcome), min(position) FROM outcomes GROUP BY 2
                UNION ALL SELECT 'channel', toString(channel), position FROM channels
            )
            WHERE {steps:String} = ''
                AND kind = {by:Enum('stage', 'touchpoint', 'outcome', 'channel')}
                AND name IN (SELECT arrayJoin(groupUniqArrayArray(names)) FROM chosen)
            ORDER BY position
        )
    ) AS of_catalog,
    if(
        {steps:String} = '',
        of_catalog,
        arrayFilter(name -> name != '', arrayMap(name -> trimBoth(name), splitByChar(',', {steps:String})))
    ) AS wanted,
    -- a name that the list has twice has one number
    arrayMap(name -> indexOf(wanted, name), wanted) AS wanted_numbers,
    -- what the steps are of: only what comes after the first of them, and only where the second is
    walked AS
    (
        SELECT
            arrayFilter(number -> number > 0, all_numbers) AS known,
            arrayFilter((_, number) -> number > 0, all_times, all_numbers) AS known_times,
            indexOf(known, 1) AS began,
            if(has(known, wanted_numbers[2]), length(known), 1) AS kept,
            arraySlice(known, began, kept) AS numbers,
            arraySlice(known_times, began, kept) AS times
        FROM
        (
            SELECT arrayMap(name -> indexOf(wanted, name), names) AS all_numbers, step_at AS all_times
            FROM chosen
            WHERE {per:Enum('journey', 'customer')} = 'journey'
            UNION ALL
            SELECT arrayFlatten(ordered.2), arrayFlatten(ordered.3)
            FROM
            (
                SELECT arraySort(
                    journey -> journey.1,
                    groupArray(
                        (journey_number, arrayMap(name -> indexOf(wanted, name), names), step_at)
                    )
                ) AS ordered
                FROM chosen
                WHERE {per:Enum('journey', 'customer')} = 'customer'
                GROUP BY customer
            )
        )
        WHERE has(all_numbers, 1)
    ),
    -- for every interaction at once, from the last step back: the times of the walk that goes on from
    -- there with the next interaction of a step. Linear in the length of a journey
    ahead AS
    (
        SELECT
            numbers,
            times,
            arrayPushBack(
                arrayMap((at, next) -> at != next, arrayPopBack(times), arrayPopFront(times)), true
            ) AS ends_instant,
            arrayFold(
                (walks, place) -> arrayReverseFill(
                    (_, is_last) -> NOT {strict:Bool} OR is_last,
                    arrayShiftLeft(
                        arrayReverseFill(
                            walk -> notEmpty(walk),
                            arrayMap(
                                (number, at, walk) -> if(
                                    number = wanted_numbers[place], arrayPushFront(walk, at), []
                                ),
                                numbers, times, walks
                            )
                        ),
                        1
                    ),
                    ends_instant
                ),
                arrayReverse(range(2, length(wanted) + 1)),
                arrayMap(_ -> CAST([], 'Array(DateTime64(6, \'UTC\'))'), times)
            ) AS walks_on
        FROM walked
    ),
    furthest AS
    (
        SELECT
            arrayMap(
                (began, walk) -> arrayFilter(
                    at -> {within_days:Float64} = 0
                        OR dateDiff('microsecond', began, at) <= {within_days:Float64} * 86400e6,
                    arrayPushFront(walk, began)
                ),
                arrayFilter((_, number) -> number = 1, times, numbers),
                arrayFilter((_, number) -> number = 1, walks_on, numbers)
            ) AS walks,
            arrayMap(walk -> length(walk), walks) AS lengths,
            walks[indexOf(lengths, arrayMax(lengths))] AS walk
        FROM ahead
    ),
    taken AS
    (
        SELECT
            place,
            count() AS reached,
            quantilesExactInclusive(0.5, 0.9)(seconds) AS quantiles
        FROM furthest
        ARRAY JOIN
            arrayEnumerate(walk) AS place,
            arrayMap(
                (at, previous) -> dateDiff('microsecond', previous, at) / 1e6,
                walk,
                arrayPushFront(arrayPopBack(walk), walk[1])
            ) AS seconds
        GROUP BY place
    )
SELECT
    number AS step,
    wanted[number] AS name,
    taken.reached AS reached,
    if(reached = 0, 0, reached / first_value(reached) OVER so_far) AS share_of_first,
    if(reached = 0, 0, reached / lagInFrame(reached, 1, reached) OVER so_far) AS share_of_previous,
    if(step = 1 OR reached = 0, NULL, quantiles[1]) AS median_seconds,
    if(step = 1 OR reached = 0, NULL, quantiles[2]) AS p90_seconds
FROM (SELECT arrayJoin(arrayEnumerate(wanted)) AS number) AS places
LEFT JOIN taken ON taken.place = number
WINDOW so_far AS (ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
ORDER BY step
