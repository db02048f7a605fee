-- What analysts use of moments and promises: the latest revision of each, and what it says of a
-- customer.
--
-- The latest revision is the one with the highest number; of one stored twice the one changed last
-- counts, as ReplacingMergeTree would choose. LIMIT 1 BY along the table's own order, as in the view
-- interactions: right before merges as after them. Moments that were withdrawn are in no view.
--
-- A customer's segment is the latest one delivered, whatever the event that caused a moment says.
-- customers_before(…), moments_before(…), promises_before(…), trust_between(…) and strikes_at(…) look
-- at another time than now.

CREATE OR REPLACE VIEW ${database}.moments ${on_cluster}
(
    moment_id UUID COMMENT 'Identity: the same whenever the moment is found again',
    status LowCardinality(String) COMMENT 'open, resolved or retracted (it was none)',
    kind LowCardinality(String) COMMENT 'pain or glory',
    severity LowCardinality(String) COMMENT 'low, medium, high or critical',
    rule LowCardinality(String) COMMENT 'Rule that found it',
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters',
    subject String COMMENT 'Case, need or value the rule looked at, or empty',
    segment LowCardinality(String) COMMENT 'Group of the customer as the causing event says, or empty',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint of the causing event',
    channel LowCardinality(String) COMMENT 'Channel of the causing event',
    need LowCardinality(String) COMMENT 'Need of the causing event',
    owner LowCardinality(String) COMMENT 'Who is told',
    text String COMMENT 'What the person told reads',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When it became a moment; for something that did not happen, when it was due',
    cause_at DateTime64(6, 'UTC') COMMENT 'When the causing event happened',
    due_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the promise or term was due',
    closed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was resolved or retracted',
    closed_after_seconds Nullable(Float64) COMMENT 'From occurred_at to closed_at, seconds',
    closed_by String COMMENT 'Id of the event that closed it; empty where time did',
    cause String COMMENT 'Id of the event that caused it; for three strikes, of the last pain',
    evidence Array(String) COMMENT 'Ids of the events that show it, in order',
    detected_at DateTime64(6, 'UTC') COMMENT 'When a worker first found it (wall clock)',
    delay_seconds Float64 COMMENT 'From occurred_at to detected_at, seconds',
    changed_at DateTime64(6, 'UTC') COMMENT 'When what is shown was found (wall clock)',
    revision UInt32 COMMENT 'Rises with every change of the moment',
    rule_version LowCardinality(String) COMMENT 'Version of the rule',
    catalog_version LowCardinality(String) COMMENT 'Version of the catalog',
    schema_version LowCardinality(String) COMMENT 'Version of the moment contract',
    partition UInt32 COMMENT 'Kafka partition of the customer',
    watermark DateTime64(6, 'UTC') COMMENT 'Up to when everything was believed to have arrived'
)
AS SELECT
    moment_id, status, kind, severity, rule, customer_key, subject, segment, touchpoint, channel,
    need, owner, text, occurred_at, cause_at, due_at, closed_at,
    dateDiff('microsecond', occurred_at, closed_at) / 1e6 AS closed_after_seconds,
    closed_by, cause, evidence, detected_at,
    dateDiff('microsecond', occurred_at, detected_at) / 1e6 AS delay_seconds,
    changed_at, revision, rule_version, catalog_version, schema_version, partition, watermark
FROM
(
    SELECT *
    FROM ${database}.moment_records
    ORDER BY customer_key, moment_id, revision DESC, changed_at DESC
    LIMIT 1 BY customer_key, moment_id
) AS latest
WHERE status != 'withdrawn'
COMMENT 'Moments of truth: one row a moment, as it is known now';

CREATE OR REPLACE VIEW ${database}.moments_by_event ${on_cluster}
(
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters',
    event_id String COMMENT 'Id of the event that caused moments',
    pains UInt64 COMMENT 'Moments of pain that it caused, resolved ones included, retracted ones not',
    glories UInt64 COMMENT 'Moments of glory that it caused, retracted ones not',
    moments Array(String) COMMENT 'Each as kind, rule and status, such as: pain long_queue (open)'
)
AS SELECT
    customer_key,
    cause AS event_id,
    countIf(kind = 'pain') AS pains,
    countIf(kind = 'glory') AS glories,
    arrayMap(
        moment -> concat(moment.3, ' ', moment.2, ' (', moment.4, ')'),
        arraySort(groupArray((occurred_at, rule, kind, status)))
    ) AS moments
FROM ${database}.moments
WHERE status != 'retracted'
GROUP BY customer_key, cause
COMMENT 'Moments of truth by the event that caused them, to join with interactions';

CREATE OR REPLACE VIEW ${database}.promises ${on_cluster}
(
    promise_id UUID COMMENT 'Identity: of the promise, the customer, the subject and the event that made it',
    status LowCardinality(String) COMMENT 'pending, kept, kept_late, broken or cancelled',
    promise LowCardinality(String) COMMENT 'Promise of the catalog',
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters',
    subject String COMMENT 'Case or need it was made for, or empty',
    segment LowCardinality(String) COMMENT 'Group of the customer as the event that made it says, or empty',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint of the event that made it',
    channel LowCardinality(String) COMMENT 'Channel of the event that made it',
    need LowCardinality(String) COMMENT 'Need of the event that made it',
    owner LowCardinality(String) COMMENT 'Who answers for the touchpoint it was made at',
    made_by String COMMENT 'Id of the event that made it',
    made_at DateTime64(6, 'UTC') COMMENT 'When it was made',
    due_at DateTime64(6, 'UTC') COMMENT 'When it was due',
    answered_by String COMMENT 'Id of the event that kept it, in time or late, or empty',
    answered_channel LowCardinality(String) COMMENT 'Channel of that event, or empty',
    answered_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When that event happened',
    answer_seconds Nullable(Float64) COMMENT 'From made_at to answered_at, seconds; 0 for an answer that came before',
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was cancelled',
    changed_at DateTime64(6, 'UTC') COMMENT 'When what is shown was found (wall clock)',
    revision UInt32 COMMENT 'Rises with every change of the promise',
    promise_version LowCardinality(String) COMMENT 'Version of the promise',
    catalog_version LowCardinality(String) COMMENT 'Version of the catalog',
    partition UInt32 COMMENT 'Kafka partition of the customer',
    watermark DateTime64(6, 'UTC') COMMENT 'Up to when everything was believed to have arrived'
)
AS SELECT
    promise_id, status, promise, customer_key, subject, segment, touchpoint, channel, need, owner,
    made_by, made_at, due_at, answered_by, answered_channel, answered_at,
    -- greatest() of a NULL and a number is the number
    if(answered_at < made_at, 0, dateDiff('microsecond', made_at, answered_at) / 1e6) AS answer_seconds,
    ended_at, changed_at, revision, promise_version, catalog_version, partition, watermark
FROM
(
    SELECT *
    FROM ${database}.promise_records
    ORDER BY customer_key, promise_id, revision DESC, changed_at DESC
    LIMIT 1 BY customer_key, promise_id
) AS latest
WHERE status != 'withdrawn'
COMMENT 'Promises to customers: one row a promise, as it is known now';

CREATE OR REPLACE VIEW ${database}.customers_before ${on_cluster}
AS SELECT
    customer_key,
    argMaxIf(segment, (occurred_at, event_id), segment != '') AS segment,
    count() AS interactions,
    min(occurred_at) AS first_at,
    max(occurred_at) AS last_at
FROM
(
    SELECT customer_key, event_id, occurred_at, segment
    FROM ${database}.interaction_records
    ORDER BY customer_key, event_id, topic, topic_id, partition, offset, ingested_at DESC
    LIMIT 1 BY customer_key, event_id
) AS events
WHERE occurred_at < {before:DateTime64(6, 'UTC')}
GROUP BY customer_key
COMMENT 'Customers as they were at another time: SELECT … FROM customers_before(before = ''2026-10-01'')';

CREATE OR REPLACE VIEW ${database}.customers ${on_cluster}
(
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters',
    segment LowCardinality(String) COMMENT 'Latest segment delivered, or empty',
    interactions UInt64 COMMENT 'Interactions, each event once',
    first_at DateTime64(6, 'UTC') COMMENT 'When the first of them happened',
    last_at DateTime64(6, 'UTC') COMMENT 'When the last of them happened'
)
AS SELECT customer_key, segment, interactions, first_at, last_at
FROM ${database}.customers_before(before = '2299-01-01') AS known
COMMENT 'Customers: one row each';

-- The segment of a customer is not that of the event that caused a moment, which may not carry any.
CREATE OR REPLACE VIEW ${database}.moments_before ${on_cluster}
AS SELECT found.*, known.segment AS customer_segment
FROM (SELECT * FROM ${database}.moments WHERE occurred_at < {before:DateTime64(6, 'UTC')}) AS found
LEFT JOIN
(
    SELECT customer_key, segment
    FROM ${database}.customers_before(before = {before:DateTime64(6, 'UTC')})
) AS known ON known.customer_key = found.customer_key
COMMENT 'Moments that occurred before a time, with the customer_segment that was known then: SELECT … FROM moments_before(before = ''2026-10-01'')';

CREATE OR REPLACE VIEW ${database}.promises_before ${on_cluster}
AS SELECT made.*, known.segment AS customer_segment
FROM (SELECT * FROM ${database}.promises WHERE made_at < {before:DateTime64(6, 'UTC')}) AS made
LEFT JOIN
(
    SELECT customer_key, segment
    FROM ${database}.customers_before(before = {before:DateTime64(6, 'UTC')})
) AS known ON known.customer_key = made.customer_key
COMMENT 'Promises that were made before a time, with the customer_segment that was known then: SELECT … FROM promises_before(before = ''2026-10-01'')';

-- Counted apart and added up: no join, so a filter on the customer reaches both keys.
CREATE OR REPLACE VIEW ${database}.trust_between ${on_cluster}
AS SELECT
    customer_key,
    max(segment) AS segment,
    sum(glories) AS glories,
    sum(pains) AS pains,
    sum(open_pains) AS open_pains,
    glories - weight * pains AS balance,
    if(pains = 0, NULL, glories / (weight * pains)) AS ratio
FROM
(
    SELECT
        customer_key, '' AS segment, countIf(kind = 'glory') AS glories,
        countIf(kind = 'pain') AS pains, countIf(kind = 'pain' AND status = 'open') AS open_pains
    FROM ${database}.moments
    WHERE status != 'retracted'
        AND occurred_at >= {since:DateTime64(6, 'UTC')}
        AND occurred_at < {until:DateTime64(6, 'UTC')}
    GROUP BY customer_key
    UNION ALL
    SELECT customer_key, segment, 0, 0, 0
    FROM ${database}.customers_before(before = {until:DateTime64(6, 'UTC')})
) AS counted
CROSS JOIN
(
    SELECT if(count() = 0, 12, any(glories_per_pain)) AS weight
    FROM ${database}.current_catalog
) AS trust
GROUP BY customer_key, weight
COMMENT 'Trust balance over a time: SELECT … FROM trust_between(since = ''2026-10-01'', until = ''2026-11-01'')';

CREATE OR REPLACE VIEW ${database}.trust_balance ${on_cluster}
(
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters',
    segment String COMMENT 'Latest segment delivered, or empty',
    glories UInt64 COMMENT 'Moments of glory that were not retracted',
    pains UInt64 COMMENT 'Moments of pain that were not retracted, resolved ones included',
    open_pains UInt64 COMMENT 'Those of them that nothing mended yet',
    balance Float64 COMMENT 'Glories minus pains, each pain weighing as many glories as the current catalog says',
    ratio Nullable(Float64) COMMENT 'Glories by the pains so weighed; none without a pain'
)
AS SELECT customer_key, segment, glories, pains, open_pains, balance, ratio
FROM ${database}.trust_between(since = '1900-01-01', until = '2299-01-01') AS counted
COMMENT 'Glory against pain: one row a customer';

CREATE OR REPLACE VIEW ${database}.strikes_at ${on_cluster}
AS SELECT
    customer_key,
    count() AS pains,
    threshold > 0 AND pains >= threshold AS at_risk,
    min(occurred_at) AS first_pain_at,
    max(occurred_at) AS last_pain_at,
    arraySort(groupUniqArray(rule)) AS rules,
    arraySort(groupUniqArray(owner)) AS owners
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
GROUP BY customer_key, threshold
COMMENT 'Unresolved pains at another time: SELECT … FROM strikes_at(at = ''2026-10-01'')';

CREATE OR REPLACE VIEW ${database}.customer_strikes ${on_cluster}
(
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters',
    pains UInt64 COMMENT 'Unresolved pains within the window of the current catalog',
    at_risk Bool COMMENT 'Whether they are as many as its threshold',
    first_pain_at DateTime64(6, 'UTC') COMMENT 'When the first of them occurred',
    last_pain_at DateTime64(6, 'UTC') COMMENT 'When the last of them occurred',
    rules Array(String) COMMENT 'Rules that found them',
    owners Array(String) COMMENT 'Who was told'
)
AS SELECT customer_key, pains, at_risk, first_pain_at, last_pain_at, rules, owners
FROM ${database}.strikes_at(at = now64(6, 'UTC')) AS counted
COMMENT 'Customers with unresolved pains, as of now';

CREATE OR REPLACE VIEW ${database}.moments_by_day ${on_cluster}
(
    day Date COMMENT 'Day on which they occurred, UTC',
    rule LowCardinality(String) COMMENT 'Rule that found them',
    kind LowCardinality(String) COMMENT 'pain or glory',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint of the causing events',
    owner LowCardinality(String) COMMENT 'Who is told',
    segment String COMMENT 'Segment of the customers: the latest delivered, or empty',
    moments UInt64 COMMENT 'Moments that stand: open or resolved',
    open UInt64 COMMENT 'Those that nothing mended yet',
    resolved UInt64 COMMENT 'Those that were mended',
    retracted UInt64 COMMENT 'Moments that turned out to be none'
)
AS SELECT
    toDate(occurred_at, 'UTC') AS day,
    rule, kind, touchpoint, owner,
    customer_segment AS segment,
    countIf(status != 'retracted') AS moments,
    countIf(status = 'open') AS open,
    countIf(status = 'resolved') AS resolved,
    countIf(status = 'retracted') AS retracted
FROM ${database}.moments_before(before = '2299-01-01') AS found
GROUP BY day, rule, kind, touchpoint, owner, segment
COMMENT 'Moments of truth counted by day, rule, touchpoint, owner and segment: add up what you need';

CREATE OR REPLACE VIEW ${database}.promise_keeping ${on_cluster}
(
    promise LowCardinality(String) COMMENT 'Promise of the catalog',
    segment String COMMENT 'Segment of the customers: the latest delivered, or empty',
    made UInt64 COMMENT 'Promises made',
    pending UInt64 COMMENT 'Not due yet',
    kept UInt64 COMMENT 'Kept in time',
    kept_late UInt64 COMMENT 'Kept after they were broken',
    broken UInt64 COMMENT 'Broken and not kept since',
    cancelled UInt64 COMMENT 'Ended without being kept or broken',
    share_kept Nullable(Float64) COMMENT 'Kept in time, of those kept, kept late or broken; none where there are none'
)
AS SELECT
    promise,
    customer_segment AS segment,
    count() AS made,
    countIf(status = 'pending') AS pending,
    countIf(status = 'kept') AS kept,
    countIf(status = 'kept_late') AS kept_late,
    countIf(status = 'broken') AS broken,
    countIf(status = 'cancelled') AS cancelled,
    if(kept + kept_late + broken = 0, NULL, kept / (kept + kept_late + broken)) AS share_kept
FROM ${database}.promises_before(before = '2299-01-01') AS counted
GROUP BY promise, segment
COMMENT 'What became of promises, by promise and segment';
