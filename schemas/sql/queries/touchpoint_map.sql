-- Touchpoint map
-- Where customers of each segment are met: every segment with every lifecycle stage. An empty cell
-- is shown as 0: nobody of that segment was met there. A customer's segment is the latest one
-- delivered, empty where none ever was. Stages and segments of the current catalog
-- come first, in its order, then others that occur. A moment of pain or glory is shown where the
-- interaction that caused it is counted; retracted ones, and those that another moment caused such
-- as three strikes, are not shown.
--
-- filters steps
--
-- column segment text: segment of the customers
-- column stage text: lifecycle stage
-- column interactions count: interactions, each event once
-- column customers count: distinct customers
-- column touchpoints count: distinct touchpoints used
-- column owners list: who answers for the touchpoints used, by the current catalog, most interactions first
-- column pains count: moments of pain that these interactions caused, resolved ones included
-- column glories count: moments of glory that these interactions caused
--
-- pivot segment stage with gaps and totals: interactions customers touchpoints pains glories owners
WITH
    (
        SELECT groupArray((segment, stage, interactions, customers, touchpoints, owners, pains, glories))
        FROM
        (
            SELECT
                segment,
                stage,
                sum(times) AS interactions,
                uniqExactMerge(known) AS customers,
                count() AS touchpoints,
                sumMapIf([owner], [times], owner != '') AS owned,
                arraySort((owner, times) -> (-times, owner), owned.1, owned.2) AS owners,
                sum(met.pains) AS pains,
                sum(met.glories) AS glories
            FROM
            (
                SELECT
                    segment, stage, touchpoint, count() AS times,
                    uniqExactState(customer_hash) AS known,
                    sum(steps.pains) AS pains, sum(steps.glories) AS glories
                FROM filtered_steps(
                    since = {since:DateTime64(6, 'UTC')},
                    until = {until:DateTime64(6, 'UTC')},
                    segment = {segment:String},
                    channel = {channel:String},
                    stage = {stage:String},
                    touchpoint = {touchpoint:String},
                    outcome = {outcome:String}
                ) AS steps
                GROUP BY segment, stage, touchpoint
            ) AS met
            LEFT JOIN (SELECT touchpoint, owner FROM touchpoints) AS owners_of
                ON owners_of.touchpoint = met.touchpoint
            GROUP BY segment, stage
        )
    ) AS cells,
    (SELECT groupArray(segment) FROM (SELECT segment FROM segments ORDER BY position)) AS known_segments,
    (SELECT groupArray(stage) FROM (SELECT stage FROM stages ORDER BY position)) AS known_stages,
    arrayConcat(
        known_segments, arraySort(arrayFilter(s -> NOT has(known_segments, s), arrayDistinct(cells.1)))
    ) AS all_segments,
    arrayConcat(
        known_stages, arraySort(arrayFilter(s -> NOT has(known_stages, s), arrayDistinct(cells.2)))
    ) AS all_stages
SELECT
    all_segments[row] AS segment,
    all_stages[place] AS stage,
    cell.3 AS interactions,
    cell.4 AS customers,
    cell.5 AS touchpoints,
    cell.6 AS owners,
    cell.7 AS pains,
    cell.8 AS glories
FROM
(
    SELECT
        arrayJoin(arrayEnumerate(all_segments)) AS row,
        arrayJoin(arrayEnumerate(all_stages)) AS place,
        arrayFirst(c -> c.1 = all_segments[row] AND c.2 = all_stages[place], cells) AS cell
)
ORDER BY row, place
