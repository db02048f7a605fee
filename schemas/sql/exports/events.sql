-- The events of an export, one row each, as event logs for process mining want them: in the order of
-- their cases, and within a case in the order of time. pipeline/export/source.py binds and reads it.
--
-- A case is a journey, a customer, or what shares a case id such as order_id; an event without that
-- id is then left out. Journeys are cut as in the view `journeys`: at the gap of the current catalog,
-- in the order of (occurred_at, event_id), over everything the customer did before `until`, so that a
-- filter leaves steps out but renumbers nothing. A customer's segment is the latest one delivered
-- before `until`.
--
-- Customers and cases can be asked for in ranges (an empty end is open), so that an engine that holds
-- its answer in memory gives one range at a time. Every text that was not delivered is empty.
WITH (SELECT if(count() = 0, inf, toFloat64(any(journey_gap_seconds))) FROM current_catalog) AS gap
SELECT
    multiIf(
        {case:String} = 'journey', journey_id,
        {case:String} = 'customer', steps.customer_key,
        case_ids[{case:String}]
    ) AS case_id,
    steps.touchpoint AS touchpoint,
    occurred_at,
    owners.owner AS owner,
    steps.customer_key AS customer_key,
    journey_id,
    journey_number,
    steps.event_id AS event_id,
    channel,
    stage,
    need,
    known_segment AS segment,
    direction,
    action,
    if(empty(case_ids), '', toJSONString(case_ids)) AS case_ids_json,
    felt.pains AS pains,
    felt.glories AS glories,
    arrayStringConcat(felt.moments, '; ') AS moments
FROM
(
    SELECT
        *,
        lower(hex(MD5(concat(customer_key, ':', first_value(event_id) OVER (
            PARTITION BY customer_key, journey_number ORDER BY occurred_at, event_id
        ))))) AS journey_id
    FROM
    (
        SELECT
            *,
            1 + countIf(silence_microseconds > gap * 1e6) OVER (
                PARTITION BY customer_key
                ORDER BY occurred_at, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS journey_number
        FROM
        (
            SELECT
                customer_key, event_id, occurred_at, touchpoint, channel, stage, need, direction,
                action, case_ids,
                argMaxIf(segment, (occurred_at, event_id), segment != '')
                    OVER (PARTITION BY customer_key) AS known_segment,
                dateDiff(
                    'microsecond',
                    lagInFrame(occurred_at, 1, occurred_at) OVER (
                        PARTITION BY customer_key
                        ORDER BY occurred_at, event_id
                        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                    ),
                    occurred_at
                ) AS silence_microseconds
            FROM interactions
            WHERE occurred_at < {until:DateTime64(6, 'UTC')}
                AND customer_key >= {first_customer:String}
                AND ({end_customer:String} = '' OR customer_key < {end_customer:String})
        )
    )
) AS steps
LEFT JOIN (SELECT touchpoint, owner FROM touchpoints) AS owners ON owners.touchpoint = steps.touchpoint
LEFT JOIN
(
    SELECT customer_key, event_id, pains, glories, moments
    FROM moments_by_event
    WHERE customer_key >= {first_customer:String}
        AND ({end_customer:String} = '' OR customer_key < {end_customer:String})
) AS felt ON felt.customer_key = steps.customer_key AND felt.event_id = steps.event_id
WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
    AND (empty({segments:Array(String)}) OR has({segments:Array(String)}, known_segment))
    AND (empty({channels:Array(String)}) OR has({channels:Array(String)}, channel))
    AND case_id != ''
    AND case_id >= {first_case:String}
    AND ({end_case:String} = '' OR case_id < {end_case:String})
ORDER BY
    if({case:String} IN ('journey', 'customer'), customer_key, case_id),
    occurred_at, event_id, customer_key
