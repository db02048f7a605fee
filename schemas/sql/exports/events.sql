-- The events of an export, one row each, as event logs for process mining want them: in the order of
-- their cases, and within a case in the order of time. pipeline/export/source.py binds and reads it.
--
-- A case is a journey, a customer, or what shares a case id such as order_id; an event without that
-- id is then left out. Journeys are those of the view `journeys`, whole: a filter leaves steps out but
-- renumbers nothing. A customer's segment is the latest one delivered.
--
-- Customers and cases can be asked for in ranges (an empty end is open), so that an engine that holds
-- its answer in memory gives one range at a time. Every text that was not delivered is empty.
SELECT
    multiIf(
        {case:String} = 'journey', journey_id,
        {case:String} = 'customer', walked.customer_key,
        case_ids[{case:String}]
    ) AS case_id,
    walked.touchpoint AS touchpoint,
    occurred_at,
    owners.owner AS owner,
    walked.customer_key AS customer_key,
    journey_id,
    journey_number,
    walked.event_id AS event_id,
    channel,
    stage,
    need,
    segment,
    direction,
    action,
    if(empty(case_ids), '', toJSONString(case_ids)) AS case_ids_json,
    walked.pains AS pains,
    walked.glories AS glories,
    arrayStringConcat(felt.moments, '; ') AS moments
FROM
(
    SELECT
        *,
        mapFromArrays(
            arrayMap(each -> substring(each, 1, position(each, ':') - 1), cases),
            arrayMap(each -> substring(each, position(each, ':') + 1), cases)
        ) AS case_ids,
        lower(hex(MD5(concat(customer_key, ':', first_value(event_id) OVER (
            PARTITION BY customer_key, journey_number ORDER BY occurred_at, event_id
        ))))) AS journey_id
    FROM steps
    WHERE customer_key >= {first_customer:String}
        AND ({end_customer:String} = '' OR customer_key < {end_customer:String})
) AS walked
LEFT JOIN (SELECT touchpoint, owner FROM touchpoints) AS owners ON owners.touchpoint = walked.touchpoint
LEFT JOIN
(
    SELECT customer_key, event_id, moments
    FROM moments_by_event
    WHERE customer_key >= {first_customer:String}
        AND ({end_customer:String} = '' OR customer_key < {end_customer:String})
) AS felt ON felt.customer_key = walked.customer_key AND felt.event_id = walked.event_id
WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
    AND occurred_at < {until:DateTime64(6, 'UTC')}
    AND (empty({segments:Array(String)}) OR has({segments:Array(String)}, segment))
    AND (empty({channels:Array(String)}) OR has({channels:Array(String)}, channel))
    AND case_id != ''
    AND case_id >= {first_case:String}
    AND ({end_case:String} = '' OR case_id < {end_case:String})
ORDER BY
    if({case:String} IN ('journey', 'customer'), customer_key, case_id),
    occurred_at, event_id, customer_key
