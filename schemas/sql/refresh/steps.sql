-- The steps of the customers that some batches touched, computed anew from the base tables, in the
-- order of the columns of step_records: of those with keys from `first` up to before `end`, where an
-- empty end is open. A range of keys is a range of the base tables.
INSERT INTO step_records
WITH
    (
        SELECT if(count() = 0, inf, toFloat64(any(journey_gap_seconds))) FROM current_catalog
    ) AS gap,
    (
        SELECT groupArray((touchpoint, actions, outcome, ends_journey))
        FROM (SELECT * FROM outcomes ORDER BY position)
    ) AS known_outcomes,
    touched AS
    (
        SELECT customer_key FROM customer_changes
        WHERE partition IN {partitions:Array(UInt32)}
            AND batch IN {batches:Array(UUID)}
            AND customer_key >= {first:String}
            AND ({end:String} = '' OR customer_key < {end:String})
    ),
    -- one row an event, as in the view interactions
    events AS
    (
        SELECT
            customer_key, event_id, occurred_at, touchpoint, channel, stage_default, stage_after,
            facts, need, segment, action, direction, case_ids
        FROM interaction_records
        WHERE customer_key IN (SELECT customer_key FROM touched)
        ORDER BY customer_key, event_id, topic, topic_id, partition, offset, ingested_at DESC
        LIMIT 1 BY customer_key, event_id
    ),
    reached AS
    (
        SELECT
            *,
            arrayFirst(
                known -> known.1 = touchpoint AND (empty(known.2) OR has(known.2, action)),
                known_outcomes
            ) AS reached_outcome,
            arraySort(
                arrayMap((kind, id) -> concat(kind, ':', id), mapKeys(case_ids), mapValues(case_ids))
            ) AS cases
        FROM events
    ),
    -- what came before, and what is known of the customer
    followed AS
    (
        SELECT
            *,
            sumMap(
                arrayDistinct(facts), arrayMap(_ -> toUInt64(1), arrayDistinct(facts))
            ) OVER earlier AS times_before,
            maxMap(cases, arrayMap(_ -> (occurred_at, event_id, channel), cases)) OVER earlier AS cases_before,
            argMaxIf(segment, (occurred_at, event_id), segment != '')
                OVER (PARTITION BY customer_key) AS customer_segment,
            row_number() OVER so_far AS number,
            lagInFrame(toString(touchpoint)) OVER so_far AS previous_touchpoint,
            lagInFrame(toString(channel)) OVER so_far AS previous_channel,
            lagInFrame(reached_outcome.4) OVER so_far AS previous_ended,
            if(
                number = 1,
                NULL,
                dateDiff('microsecond', lagInFrame(occurred_at) OVER so_far, occurred_at) / 1e6
            ) AS seconds_since_previous
        FROM reached
        WINDOW
            earlier AS (
                PARTITION BY customer_key
                ORDER BY occurred_at, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ),
            so_far AS (
                PARTITION BY customer_key
                ORDER BY occurred_at, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            )
    ),
    cut AS
    (
        SELECT
            *,
            sum(toUInt32(number = 1 OR previous_ended OR seconds_since_previous > gap)) OVER (
                PARTITION BY customer_key
                ORDER BY occurred_at, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS journey_number,
            -- of the earlier interactions that share a case, the channel of the last
            arrayReduce(
                'max',
                arrayMap(
                    shared -> cases_before.2[indexOf(cases_before.1, shared)],
                    arrayFilter(shared -> has(cases_before.1, shared), cases)
                )
            ).3 AS came_from
        FROM followed
    ),
    -- moments as in the views moments and moments_by_event
    felt AS
    (
        SELECT
            customer_key,
            cause,
            countIf(kind = 'pain') AS pains,
            countIf(kind = 'glory') AS glories,
            arrayMap(moment -> moment.2, arraySort(groupArray((occurred_at, rule)))) AS rules
        FROM
        (
            SELECT customer_key, cause, kind, occurred_at, toString(rule) AS rule, status
            FROM moment_records
            WHERE customer_key IN (SELECT customer_key FROM touched)
            ORDER BY customer_key, moment_id, revision DESC, changed_at DESC
            LIMIT 1 BY customer_key, moment_id
        )
        WHERE status NOT IN ('withdrawn', 'retracted')
        GROUP BY customer_key, cause
    )
SELECT
    cut.customer_key,
    event_id,
    occurred_at,
    journey_number,
    row_number() OVER (
        PARTITION BY customer_key, journey_number
        ORDER BY occurred_at, event_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS step,
    touchpoint,
    channel,
    if(
        touchpoint = 'unclassified',
        'unclassified',
        arrayFirst(
            option -> times_before.2[indexOf(times_before.1, option.fact)] >= option.times,
            arrayPushBack(
                stage_after,
                CAST(('', 0, stage_default), 'Tuple(fact String, times UInt8, stage String)')
            )
        ).stage
    ) AS stage,
    need,
    customer_segment,
    action,
    direction,
    reached_outcome.3 AS outcome,
    argMaxIf(outcome, (occurred_at, event_id), outcome != '')
        OVER (PARTITION BY customer_key, journey_number) AS journey_outcome,
    previous_touchpoint,
    previous_channel,
    seconds_since_previous,
    cases,
    if(came_from = channel, '', came_from) AS handoff_from,
    felt.pains,
    felt.glories,
    felt.rules,
    {version:UInt64} AS version,
    0 AS deleted
FROM cut
LEFT JOIN felt ON felt.customer_key = cut.customer_key AND felt.cause = cut.event_id
