-- After stale_steps.sql with the same parameters: the journeys of these customers from their steps,
-- and in the same insert the end of the journeys that are no more, so that none is seen twice.
INSERT INTO journey_records
WITH
    touched AS
    (
        SELECT customer_key FROM customer_changes
        WHERE partition IN {partitions:Array(UInt32)}
            AND batch IN {batches:Array(UUID)}
            AND customer_key >= {first:String}
            AND ({end:String} = '' OR customer_key < {end:String})
    )
SELECT
    customer_key,
    history[1].2 AS first_event_id,
    journey_number,
    segment,
    history[1].1 AS started_at,
    history[-1].1 AS ended_at,
    history.3 AS path,
    history.4 AS step_channels,
    history.5 AS step_stages,
    history.6 AS step_outcomes,
    history.1 AS step_at,
    handoffs,
    pains,
    glories,
    arrayFlatten(history.7) AS rules,
    {version:UInt64} AS version,
    0 AS deleted
FROM
(
    SELECT
        customer_key,
        journey_number,
        any(segment) AS segment,
        arraySort(
            groupArray((occurred_at, event_id, touchpoint, channel, stage, outcome, rules))
        ) AS history,
        countIf(handoff_from != '') AS handoffs,
        sum(step_records.pains) AS pains,
        sum(step_records.glories) AS glories
    FROM step_records FINAL
    WHERE customer_key IN (SELECT customer_key FROM touched)
    GROUP BY customer_key, journey_number
)
UNION ALL
SELECT * REPLACE ({version:UInt64} AS version, 1 AS deleted)
FROM journey_records FINAL
WHERE customer_key IN (SELECT customer_key FROM touched)
    AND (customer_key, first_event_id, started_at) NOT IN
    (
        SELECT customer_key, event_id, occurred_at
        FROM step_records FINAL
        WHERE step = 1 AND customer_key IN (SELECT customer_key FROM touched)
    )
