-- The filters that every named query takes, for moments and promises: as filtered_steps and
-- filtered_journeys of 0012, but of what steps caused.
--
-- Time is when the moment occurred, or when the promise was made. Channel and touchpoint are those of
-- the event that caused or made it, which its row has. Stage and outcome are those of the step that
-- this event is: what no step caused, such as three strikes, is at no stage and in no journey, so it
-- fits none of them, not even (none). The semi-join with the steps is gone from the plan where neither
-- is asked for, because what decides that is constant.

CREATE OR REPLACE VIEW ${database}.filtered_moments ${on_cluster}
AS SELECT found.*, known.segment AS customer_segment
FROM
(
    SELECT *
    FROM ${database}.moments
    WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
        AND occurred_at < {until:DateTime64(6, 'UTC')}
        AND ({channel:String} = '' OR channel = {channel:String})
        AND ({touchpoint:String} = '' OR touchpoint = {touchpoint:String})
        AND (
            ({stage:String} = '' AND {outcome:String} = '')
            OR (customer_key, cause) IN
            (
                SELECT customer_key, event_id
                FROM ${database}.filtered_steps(
                    since = '1900-01-01',
                    until = '2299-01-01',
                    segment = '',
                    channel = '',
                    stage = {stage:String},
                    touchpoint = '',
                    outcome = {outcome:String}
                )
            )
        )
) AS found
-- the first journey of a customer stands for the customer: no grouping
LEFT JOIN (SELECT customer_key, segment FROM ${database}.journeys WHERE journey_number = 1) AS known
    ON known.customer_key = found.customer_key
WHERE {segment:String} = ''
    OR known.segment = if({segment:String} = '(none)', '', {segment:String})
COMMENT 'Moments that named queries count, with the customer_segment: SELECT … FROM filtered_moments(since = …, until = …, segment = …, channel = …, stage = …, touchpoint = …, outcome = …)';

CREATE OR REPLACE VIEW ${database}.filtered_promises ${on_cluster}
AS SELECT made.*, known.segment AS customer_segment
FROM
(
    SELECT *
    FROM ${database}.promises
    WHERE made_at >= {since:DateTime64(6, 'UTC')}
        AND made_at < {until:DateTime64(6, 'UTC')}
        AND ({channel:String} = '' OR channel = {channel:String})
        AND ({touchpoint:String} = '' OR touchpoint = {touchpoint:String})
        AND (
            ({stage:String} = '' AND {outcome:String} = '')
            OR (customer_key, made_by) IN
            (
                SELECT customer_key, event_id
                FROM ${database}.filtered_steps(
                    since = '1900-01-01',
                    until = '2299-01-01',
                    segment = '',
                    channel = '',
                    stage = {stage:String},
                    touchpoint = '',
                    outcome = {outcome:String}
                )
            )
        )
) AS made
LEFT JOIN (SELECT customer_key, segment FROM ${database}.journeys WHERE journey_number = 1) AS known
    ON known.customer_key = made.customer_key
WHERE {segment:String} = ''
    OR known.segment = if({segment:String} = '(none)', '', {segment:String})
COMMENT 'Promises that named queries count, with the customer_segment: SELECT … FROM filtered_promises(since = …, until = …, segment = …, channel = …, stage = …, touchpoint = …, outcome = …)';

-- Everybody known before the end of the time, and others of whom there are moments. The segment
-- chooses customers; the other filters choose moments, and so what a customer's trust is made of.
CREATE OR REPLACE VIEW ${database}.filtered_trust ${on_cluster}
AS SELECT
    customer_key,
    max(customer_segment) AS segment,
    sum(gloried) AS glories,
    sum(pained) AS pains,
    sum(opened) AS open_pains,
    glories - weight * pains AS balance,
    if(pains = 0, NULL, glories / (weight * pains)) AS ratio
FROM
(
    SELECT
        customer_key,
        toString(any(found.customer_segment)) AS customer_segment,
        countIf(kind = 'glory') AS gloried,
        countIf(kind = 'pain') AS pained,
        countIf(kind = 'pain' AND status = 'open') AS opened
    FROM ${database}.filtered_moments(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    ) AS found
    WHERE status != 'retracted'
    GROUP BY customer_key
    UNION ALL
    SELECT customer_key, toString(known.segment), 0, 0, 0
    FROM ${database}.journeys AS known
    WHERE journey_number = 1
        AND started_at < {until:DateTime64(6, 'UTC')}
        AND (
            {segment:String} = ''
            OR known.segment = if({segment:String} = '(none)', '', {segment:String})
        )
) AS counted
CROSS JOIN
(
    SELECT if(count() = 0, 12, any(glories_per_pain)) AS weight
    FROM ${database}.current_catalog
) AS trust
GROUP BY customer_key, weight
COMMENT 'Trust balance of customers by the moments that fit: SELECT … FROM filtered_trust(since = …, until = …, segment = …, channel = …, stage = …, touchpoint = …, outcome = …)';

-- What strikes_at of 0009 counts, pain by pain, so that a question can look at which they are.
CREATE OR REPLACE VIEW ${database}.strike_pains_at ${on_cluster}
AS SELECT customer_key, moment_id, occurred_at, rule, owner, threshold
FROM ${database}.moments
CROSS JOIN
(
    SELECT
        any(strikes_threshold) AS threshold,
        {at:DateTime64(6, 'UTC')} - toIntervalSecond(any(strikes_window_seconds)) AS window_began_at
    FROM ${database}.current_catalog
) AS strikes
WHERE kind = 'pain'
    AND rule != 'three_strikes'
    AND status != 'retracted'
    AND occurred_at <= {at:DateTime64(6, 'UTC')}
    AND occurred_at > window_began_at
    AND (closed_at IS NULL OR closed_at > {at:DateTime64(6, 'UTC')})
COMMENT 'Unresolved pains that count at another time, one row each: SELECT … FROM strike_pains_at(at = ''2026-10-01'')';

CREATE OR REPLACE VIEW ${database}.strikes_at ${on_cluster}
AS SELECT
    customer_key,
    count() AS pains,
    threshold > 0 AND pains >= threshold AS at_risk,
    min(occurred_at) AS first_pain_at,
    max(occurred_at) AS last_pain_at,
    arraySort(groupUniqArray(rule)) AS rules,
    arraySort(groupUniqArray(owner)) AS owners
FROM ${database}.strike_pains_at(at = {at:DateTime64(6, 'UTC')}) AS counting
GROUP BY customer_key, threshold
COMMENT 'Unresolved pains at another time: SELECT … FROM strikes_at(at = ''2026-10-01'')';

-- Records as they were delivered, duplicates included. Time, channel and touchpoint are the record's
-- own; segment, stage and outcome are those of its event, which the steps know.
CREATE OR REPLACE VIEW ${database}.filtered_records ${on_cluster}
AS SELECT
    customer_key, event_id, occurred_at, kafka_at, ingested_at, channel, touchpoint, clock
FROM ${database}.interaction_records FINAL
WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
    AND occurred_at < {until:DateTime64(6, 'UTC')}
    AND ({channel:String} = '' OR channel = {channel:String})
    AND ({touchpoint:String} = '' OR touchpoint = {touchpoint:String})
    AND (
        ({segment:String} = '' AND {stage:String} = '' AND {outcome:String} = '')
        OR (customer_key, event_id) IN
        (
            SELECT customer_key, event_id
            FROM ${database}.filtered_steps(
                since = '1900-01-01',
                until = '2299-01-01',
                segment = {segment:String},
                channel = '',
                stage = {stage:String},
                touchpoint = '',
                outcome = {outcome:String}
            )
        )
    )
COMMENT 'Records that data_quality counts: SELECT … FROM filtered_records(since = …, until = …, segment = …, channel = …, stage = …, touchpoint = …, outcome = …)';
