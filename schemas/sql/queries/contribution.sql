-- Contribution
-- Which touchpoints an outcome is owed to, by five models. Every time that a journey reaches the outcome
-- is a conversion; its path are the steps since the journey's previous conversion, or its start,
-- without the step that reached the outcome, or that step alone where there was no other. Steps after
-- the last conversion are a path that came to nothing. Each model gives every conversion one credit:
-- so each of its columns adds up to the conversions.
-- First and last touch give it to the first and the last step of the path, linear gives every step the
-- same, position-based gives the first and the last step their weights and shares the rest out among
-- those between; of two steps both get more, in proportion, and one gets it all. Markov takes the paths
-- of both kinds as a chain in which each step depends on the one before, and credits touchpoints in
-- proportion to their removal effect: the share of conversions that would be lost if every path broke
-- off where it meets the touchpoint (Anderl et al., International Journal of Research in Marketing 33,
-- 2016). It is computed exactly, by inverting the chain's matrix. A touchpoint that is met twice on a
-- path counts twice. No model shows a cause.
--
-- filters journeys
-- param goal String = purchase: outcome of the catalog
-- param first_weight Float64 = 0.4: position-based: part of the first step
-- param last_weight Float64 = 0.4: position-based: part of the last step; where both are more than 1 together, they are divided by their sum
--
-- column touchpoint text: touchpoint that is on any path
-- column owner text: who answers for it, empty where the current catalog does not have it
-- column conversions count: conversions with it on their path
-- column first_touch number: conversions credited to it as the first step
-- column last_touch number: conversions credited to it as the last step
-- column linear number: conversions credited to it, every step the same
-- column position_based number: conversions credited to it by position
-- column markov number: conversions credited to it by removal effect
-- column removal_effect share: of the conversions, lost without it
WITH
    greatest(0, 1 - {first_weight:Float64} - {last_weight:Float64}) AS middle_weight,
    -- every step goes on to a touchpoint, to the goal or to nothing
    (
        SELECT groupArray((from_state, to_state, times))
        FROM
        (
            SELECT edge.1 AS from_state, edge.2 AS to_state, count() AS times
            FROM
            (
                SELECT
                    arrayMap(reached -> reached = {goal:String}, step_outcomes) AS reaches,
                    arrayPushFront(arrayPopBack(reaches), true) AS begins,
                    arrayMap(touchpoint -> toString(touchpoint), path) AS names,
                    arrayJoin(
                        arrayConcat(
                            arrayMap(
                                (name, previous, begin, reach) -> (
                                    if(begin, '(start)', previous),
                                    if(reach AND NOT begin, '(goal)', name)
                                ),
                                names, arrayPushFront(arrayPopBack(names), ''), begins, reaches
                            ),
                            arrayMap(
                                alone -> (alone.1, '(goal)'),
                                arrayFilter(
                                    (_, begin, reach) -> begin AND reach,
                                    arrayZip(names), begins, reaches
                                )
                            ),
                            if(reaches[-1], [], [(names[-1], '(nothing)')])
                        )
                    ) AS edge
                FROM filtered_journeys(
                    since = {since:DateTime64(6, 'UTC')},
                    until = {until:DateTime64(6, 'UTC')},
                    segment = {segment:String},
                    channel = {channel:String},
                    stage = {stage:String},
                    touchpoint = {touchpoint:String},
                    outcome = {outcome:String}
                )
            )
            GROUP BY from_state, to_state
        )
    ) AS edges,
    arraySort(arrayFilter(state -> state NOT IN ('(goal)', '(nothing)'), arrayDistinct(edges.2))) AS states,
    -- of each state in order, first the start: the shares that go on to each state, and to the goal,
    -- as a table of one row, because ClickHouse is slow with so large constants
    chains AS
    (
        SELECT groupArray((onward, to_goal)) AS chain
        FROM
        (
            SELECT
                edge.1 AS from_state,
                sum(edge.3) AS leaving,
                arrayMap(
                    times -> times / leaving,
                    arrayResize(
                        groupArrayInsertAtIf(
                            edge.3, toUInt32(indexOf(states, edge.2) - 1), has(states, edge.2)
                        ),
                        length(states)
                    )
                ) AS onward,
                sumIf(edge.3, edge.2 = '(goal)') / leaving AS to_goal
            FROM (SELECT arrayJoin(edges) AS edge)
            GROUP BY from_state
            ORDER BY from_state = '(start)' DESC, from_state
        )
    ),
    solved AS
    (
        SELECT
            chain[1].1 AS begun,
            arraySlice(chain, 2) AS between,
            arrayEnumerate(states) AS places,
            -- expected visits to each state from each: the inverse of one minus the transitions, by
            -- Gauss and Jordan in place, which needs no pivoting, as the diagonal dominates
            arrayFold(
                (matrix, pivot) -> arrayMap(
                    (line, place, factor, scaled) -> if(
                        place = pivot,
                        scaled,
                        arrayMap(
                            (value, step, column) -> if(column = pivot, 0, value) - factor * step,
                            line, scaled, places
                        )
                    ),
                    matrix,
                    places,
                    arrayMap(line -> line[pivot], matrix),
                    arrayWithConstant(
                        length(matrix),
                        arrayMap(
                            (value, column, divisor) -> if(column = pivot, 1, value) / divisor,
                            matrix[pivot], places, arrayWithConstant(length(places), matrix[pivot][pivot])
                        )
                    )
                ),
                places,
                arrayMap(
                    (line, place) -> arrayMap((share, column) -> (place = column) - share, line, places),
                    between.1, places
                )
            ) AS visits,
            arrayReduce(
                'sumForEach',
                arrayMap((line, share) -> arrayMap(value -> value * share, line), visits, begun)
            ) AS visits_from_start,
            arrayMap(line -> arrayDotProduct(line, between.2), visits) AS reaching,
            arrayDotProduct(begun, reaching) AS reaching_from_start,
            -- to come by a state at all, and from there to the goal
            arrayMap(
                (came, again, reach) -> if(reaching_from_start = 0, 0, came / again * reach / reaching_from_start),
                visits_from_start, arrayMap((line, place) -> line[place], visits, places), reaching
            ) AS removals
        FROM chains
    ),
    paths AS
    (
        SELECT
            arrayMap(reached -> reached = {goal:String}, step_outcomes) AS reaches,
            arraySplit(
                (name, begin) -> begin, path, arrayPushFront(arrayPopBack(reaches), true)
            ) AS parts,
            arrayJoin(if(reaches[-1], parts, arrayPopBack(parts))) AS whole,
            if(length(whole) = 1, whole, arrayPopBack(whole)) AS steps
        FROM filtered_journeys(
            since = {since:DateTime64(6, 'UTC')},
            until = {until:DateTime64(6, 'UTC')},
            segment = {segment:String},
            channel = {channel:String},
            stage = {stage:String},
            touchpoint = {touchpoint:String},
            outcome = {outcome:String}
        )
        WHERE has(step_outcomes, {goal:String})
    ),
    -- counted by the length of the path, so that the shares are added up in the same order always
    counted AS
    (
        SELECT
            step.1 AS touchpoint,
            step.2 AS long,
            count() AS met,
            countIf(step.3 = 1) AS firsts,
            countIf(step.3 = long) AS lasts,
            countIf(step.4 = 1) AS conversions
        FROM
        (
            SELECT
                arrayJoin(
                    arrayZip(
                        steps,
                        arrayWithConstant(length(steps), length(steps)),
                        arrayEnumerate(steps),
                        arrayEnumerateUniq(steps)
                    )
                ) AS step
            FROM paths
        )
        GROUP BY touchpoint, long
    ),
    credited AS
    (
        SELECT
            touchpoint,
            sum(conversions) AS conversions,
            sum(firsts) AS first_touch,
            sum(lasts) AS last_touch,
            arraySum(arraySort(groupArray(met / long))) AS linear,
            arraySum(
                arraySort(
                    groupArray(
                        multiIf(
                            long = 1, toFloat64(met),
                            long = 2 AND {first_weight:Float64} + {last_weight:Float64} = 0, met / 2,
                            (
                                {first_weight:Float64} * firsts
                                + {last_weight:Float64} * lasts
                                + if(long = 2, 0, middle_weight / (long - 2) * (met - firsts - lasts))
                            ) / (
                                {first_weight:Float64}
                                + {last_weight:Float64}
                                + if(long = 2, 0, middle_weight)
                            )
                        )
                    )
                )
            ) AS position_based
        FROM counted
        GROUP BY touchpoint
    )
SELECT
    state.1 AS touchpoint,
    owner,
    conversions,
    first_touch,
    last_touch,
    linear,
    position_based,
    if(removal_effect = 0, 0, sum(first_touch) OVER () * removal_effect / whole) AS markov,
    state.2 AS removal_effect
FROM
(
    SELECT arrayJoin(arrayZip(states, removals)) AS state, arraySum(removals) AS whole FROM solved
) AS removed
LEFT JOIN credited ON credited.touchpoint = state.1
LEFT JOIN (SELECT touchpoint, owner FROM touchpoints) AS owners ON owners.touchpoint = state.1
ORDER BY markov DESC, linear DESC, touchpoint
