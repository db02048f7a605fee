-- Alerts sent
-- Who was told of which moment, when, and why somebody was not: a row for each moment and each
-- destination of its alert, or for each moment that nobody is told of. Newest first.
--
-- filters moments
-- param owner String = : only moments of this owner; all where empty
-- param rule String = : only moments of this rule; all where empty
-- param destination String = : only what this destination was told; all where empty
--
-- column occurred_at time: when it became a moment
-- column kind text: pain or glory
-- column severity text: low, medium, high or critical
-- column rule text: rule that found it
-- column decision text: alerted, held, suppressed, or none: no route takes it, or no alerter has seen it
-- column reason text: why it is held or suppressed, or empty
-- column destination text: destination that was to be told, or empty
-- column delivery text: sent, pending or dead: what became of the notification it came in; empty where nobody is told
-- column told_at time: when the destination took it, or empty
-- column seconds_to_told seconds: from when it became a moment until then
-- column attempts count: how often its alert was tried at the destination
-- column detail text: the destination's last answer or error
-- column owner text: who is told
-- column customer_key text: customer
-- column alert_id text: alert that it is part of, or empty
-- column moment_id text: id of the moment
WITH told AS
(
    SELECT
        id AS alert,
        destination,
        -- a moment comes in the first notification that is decided when it is in the alert, or later
        arraySort(groupArrayIf((sequence, created_at, ended_at), status = 'sent')) AS sent,
        maxIf(created_at, status = 'pending') AS pending,
        maxIf(created_at, status = 'dead') AS dead,
        sum(attempts) AS tries,
        argMax(detail, sequence) AS last_detail
    FROM alert_records FINAL
    WHERE kind = 'delivery' AND ({destination:String} = '' OR destination = {destination:String})
    GROUP BY alert, destination
)
SELECT
    found.occurred_at AS occurred_at,
    found.kind AS kind,
    found.severity AS severity,
    found.rule AS rule,
    if(made.decision = '', 'none', made.decision) AS decision,
    made.reason AS reason,
    told.destination AS destination,
    multiIf(
        told.destination = '', '',
        told_at IS NOT NULL, 'sent',
        told.dead >= made.decided_at AND told.pending < made.decided_at, 'dead',
        'pending'
    ) AS delivery,
    arrayFirst(said -> said.2 >= made.decided_at, told.sent).3 AS told_at,
    dateDiff('millisecond', found.occurred_at, told_at) / 1e3 AS seconds_to_told,
    told.tries AS attempts,
    told.last_detail AS detail,
    found.owner AS owner,
    found.customer_key AS customer_key,
    if(made.alert = toUUID('00000000-0000-0000-0000-000000000000'), '', toString(made.alert)) AS alert_id,
    toString(found.moment_id) AS moment_id
FROM
(
    SELECT *
    FROM filtered_moments(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
    WHERE ({owner:String} = '' OR owner = {owner:String})
        AND ({rule:String} = '' OR rule = {rule:String})
) AS found
LEFT JOIN
(
    SELECT
        id, status AS decision, reason, created_at AS decided_at,
        if(decision = 'alerted', alert_id, toUUID('00000000-0000-0000-0000-000000000000')) AS alert
    FROM alert_records FINAL
    WHERE kind = 'moment'
) AS made ON made.id = found.moment_id
LEFT JOIN told ON told.alert = made.alert
WHERE {destination:String} = '' OR told.destination != ''
ORDER BY occurred_at DESC, moment_id, destination
