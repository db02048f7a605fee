-- Stage conversion
-- How many who reached a lifecycle stage went on to a later one, or to an outcome, and how long that
-- took: from each stage of the catalog to each that comes after it in the catalog, and to each
-- outcome. A stage is reached at its first interaction, in the order (occurred_at, event_id); what
-- follows counts at its first interaction after that, an outcome also where the same interaction
-- reached it. Stages between may be left out. With `per` customer, the journeys of a customer are
-- taken as one. Looks at whole journeys that began in the time asked for.
--
-- filters journeys
-- param per Enum('journey', 'customer') = journey: what is counted
--
-- column from_stage text: lifecycle stage
-- column target text: later stage, or outcome as outcome:purchase
-- column reached count: journeys or customers that reached from_stage
-- column converted count: those of them that reached the target afterwards
-- column share share: converted, of reached
-- column median_seconds seconds: median time between the two; none where nobody converted
-- column p90_seconds seconds: 90th percentile of that time
--
-- pivot from_stage target: converted share
WITH
    (
        SELECT groupArray(name)
        FROM (SELECT toString(stage) AS name FROM stages ORDER BY position)
    ) AS known_stages,
    (
        SELECT groupArray(name)
        FROM
        (
            SELECT toString(outcome) AS name FROM outcomes
            GROUP BY outcome ORDER BY min(position)
        )
    ) AS known_outcomes,
    -- what can be reached, numbered from 1: stages, then outcomes
    arrayConcat(known_stages, arrayMap(name -> concat('outcome:', name), known_outcomes)) AS targets,
    chosen AS
    (
        SELECT
            cityHash64(customer_key) AS customer,
            journey_number,
            arrayMap(name -> indexOf(known_stages, name), step_stages) AS stage_numbers,
            arrayMap(
                name -> if(name = '', 0, indexOf(targets, concat('outcome:', name))), step_outcomes
            ) AS outcome_numbers,
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
    walked AS
    (
        SELECT stage_numbers, outcome_numbers, step_at
        FROM chosen
        WHERE {per:Enum('journey', 'customer')} = 'journey'
        UNION ALL
        SELECT arrayFlatten(ordered.2), arrayFlatten(ordered.3), arrayFlatten(ordered.4)
        FROM
        (
            SELECT arraySort(
                journey -> journey.1,
                groupArray((journey_number, stage_numbers, outcome_numbers, step_at))
            ) AS ordered
            FROM chosen
            WHERE {per:Enum('journey', 'customer')} = 'customer'
            GROUP BY customer
        )
    ),
    -- one row for every stage that was reached, with the first of everything that followed. 0 stands
    -- for the stage itself
    followed AS
    (
        SELECT
            from_number,
            indexOf(stage_numbers, from_number) AS place,
            step_at[place] AS began,
            arraySlice(stage_numbers, place) AS stages_after,
            arraySlice(outcome_numbers, place) AS outcomes_after,
            arraySlice(step_at, place) AS times_after,
            arrayConcat(
                [(toUInt64(0), began)],
                arrayFilter(
                    (met, time) -> met.1 > from_number AND time = 1,
                    arrayZip(stages_after, times_after),
                    arrayEnumerateUniq(stages_after)
                ),
                arrayFilter(
                    (met, time) -> met.1 > 0 AND time = 1,
                    arrayZip(outcomes_after, times_after),
                    arrayEnumerateUniq(outcomes_after)
                )
            ) AS firsts
        FROM walked
        ARRAY JOIN arrayDistinct(arrayFilter(number -> number > 0, stage_numbers)) AS from_number
    ),
    counted AS
    (
        SELECT
            from_number,
            met.1 AS to_number,
            count() AS times,
            quantilesExactInclusive(0.5, 0.9)(
                dateDiff('microsecond', began, met.2) / 1e6
            ) AS quantiles
        FROM followed
        ARRAY JOIN firsts AS met
        GROUP BY from_number, to_number
    )
SELECT
    known_stages[first_number] AS from_stage,
    targets[next_number] AS target,
    reached,
    converted,
    if(reached = 0, 0, converted / reached) AS share,
    if(converted = 0, NULL, quantiles[1]) AS median_seconds,
    if(converted = 0, NULL, quantiles[2]) AS p90_seconds
FROM
(
    SELECT
        first_number,
        next_number,
        times AS converted,
        quantiles,
        sumIf(times, next_number = 0) OVER (PARTITION BY first_number) AS reached
    FROM
    (
        SELECT
            arrayJoin(arrayEnumerate(known_stages)) AS first_number,
            arrayJoin(
                arrayConcat([0], range(first_number + 1, length(targets) + 1))
            ) AS next_number
    ) AS pairs
    LEFT JOIN counted
        ON counted.from_number = pairs.first_number AND counted.to_number = pairs.next_number
)
WHERE next_number > 0
ORDER BY first_number, next_number
