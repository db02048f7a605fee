-- As `touchpoint_map` over the view interactions, for the benchmark.
WITH
    (
        SELECT groupArray((segment, stage, interactions, customers, touchpoints, owners, pains, glories))
        FROM
        (
            SELECT
                segment,
                stage,
                count() AS interactions,
                uniqExact(met.customer_key) AS customers,
                uniqExact(met.touchpoint) AS touchpoints,
                sumMapIf([owner], [1], owner != '') AS owned,
                arraySort((owner, times) -> (-times, owner), owned.1, owned.2) AS owners,
                sum(felt.pains) AS pains,
                sum(felt.glories) AS glories
            FROM
            (
                SELECT
                    customer_key,
                    occurred_at,
                    event_id,
                    touchpoint,
                    stage,
                    argMaxIf(segment, (occurred_at, event_id), segment != '')
                        OVER (PARTITION BY customer_key) AS segment
                FROM interactions
                WHERE occurred_at < {until:DateTime64(6, 'UTC')}
            ) AS met
            LEFT JOIN (SELECT touchpoint, owner FROM touchpoints) AS owners_of
                ON owners_of.touchpoint = met.touchpoint
            LEFT JOIN (SELECT customer_key, event_id AS cause, pains, glories FROM moments_by_event) AS felt
                ON felt.customer_key = met.customer_key AND felt.cause = met.event_id
            WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
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
