-- Open pains
-- What can still be mended: moments of pain that nothing resolved, the worst first and of those the
-- newest, with what the person in charge reads.
--
-- filters moments
-- param owner String = : only pains of this owner; all where empty
-- param rule String = : only pains of this rule; all where empty
-- param worst_first Bool = true: false puts the newest first, however bad
--
-- column occurred_at time: when it became a moment; for something that did not happen, when it was due
-- column severity text: low, medium, high or critical
-- column rule text: rule that found it
-- column text text: what the person told reads
-- column owner text: who is told
-- column touchpoint text: touchpoint of the event that caused it
-- column channel text: channel of that event
-- column segment text: segment of the customer: the latest delivered
-- column subject text: case, need or value it is about, or empty
-- column customer_key text: customer
-- column moment_id text: id of the moment
SELECT
    occurred_at, severity, rule, text, owner, touchpoint, channel, customer_segment AS segment,
    subject, customer_key, toString(moment_id) AS moment_id
FROM
(
    SELECT
        *,
        -- worse is higher, and what is not known is 0
        indexOf(['low', 'medium', 'high', 'critical'], severity) AS badness
    FROM filtered_moments(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
    WHERE kind = 'pain'
        AND status = 'open'
        AND ({owner:String} = '' OR owner = {owner:String})
        AND ({rule:String} = '' OR rule = {rule:String})
)
ORDER BY if({worst_first:Bool}, badness, 0) DESC, occurred_at DESC, moment_id
