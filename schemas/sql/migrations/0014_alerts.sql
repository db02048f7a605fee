-- The journal of alerts: what was made of moments, the alerts themselves, what was delivered to whom,
-- and what people ordered. Analysts read the views below.
--
-- One table for all four, because what belongs together must be there together or not at all: an
-- insert of one block into one partition is the only thing that ClickHouse does atomically. So there
-- is no PARTITION BY, either. Rows are written whole whenever they change; the highest version counts.
-- ORDER BY what it is and its id: the alerter asks for moments and alerts by their ids, thousands a
-- time; so is the granularity smaller than usual. The same rows on every node of a cluster, or an
-- insert would be split between shards.
-- TTL: `touchline migrate` sets one where TOUCHLINE_KEEP_ALERTS_DAYS asks for it.
CREATE TABLE IF NOT EXISTS ${database}.alert_records ${on_cluster}
(
    kind LowCardinality(String) COMMENT 'moment, alert, delivery or order',
    id UUID COMMENT 'Of a moment, an alert, the alert of a delivery, or an order',
    part LowCardinality(String) COMMENT 'Route of a moment, destination of a delivery, or empty',
    sequence UInt32 COMMENT 'Place of a delivery within its alert, or 0',
    version UInt64 COMMENT 'Rises with every change',
    status LowCardinality(String) COMMENT 'As the views say',
    acts Bool COMMENT 'Whether an open alert will do something by itself, however long that takes',
    reason LowCardinality(String) COMMENT 'Why a moment is held or suppressed',
    detail String COMMENT 'Last answer or error of a delivery, reason of an order' CODEC(ZSTD(1)),
    alert_id UUID COMMENT 'Alert it belongs to, or did before a moment was opened again; zeros where there is none',
    route LowCardinality(String) COMMENT 'Route of the catalog',
    destination LowCardinality(String) COMMENT 'Destination of the catalog, or empty',
    action LowCardinality(String) COMMENT 'What a delivery tells, or what was ordered',
    moment_kind LowCardinality(String) COMMENT 'pain or glory, or empty',
    moment_status LowCardinality(String) COMMENT 'Status of a moment when it was looked at last',
    rule LowCardinality(String) COMMENT 'Rule of a moment; silenced rule; or empty',
    severity LowCardinality(String) COMMENT 'Of a moment; the highest of an alert',
    owner LowCardinality(String) COMMENT 'Who is told',
    customer_key String COMMENT 'Customer of a moment: keyed hash' CODEC(ZSTD(1)),
    segment LowCardinality(String) COMMENT 'Segment of a moment',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint of a moment',
    channel LowCardinality(String) COMMENT 'Channel of a moment',
    subject String COMMENT 'Subject of a moment' CODEC(ZSTD(1)),
    revision UInt32 COMMENT 'Revision of a moment that was looked at last',
    moments UInt32 COMMENT 'Moments of an alert',
    open_moments UInt32 COMMENT 'Those among them that are not closed',
    attempts UInt32 COMMENT 'How often a delivery was tried',
    http_status UInt16 COMMENT 'What the last try was answered with, or 0',
    cause_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the causing event of a moment happened',
    occurred_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When a moment became one',
    created_at DateTime64(6, 'UTC') COMMENT 'When it was first decided, opened, put here or ordered' CODEC(Delta, ZSTD(1)),
    due_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it is looked at again: held until, joined until, next try, end of a silence',
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When an alert was closed or a delivery ended',
    actor String COMMENT 'Who ordered or acknowledged' CODEC(ZSTD(1)),
    body String COMMENT 'All of it, as JSON' CODEC(ZSTD(1)),
    changed_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When this was stored' CODEC(Delta, ZSTD(1))
)
ENGINE = ${engine_everywhere:ReplacingMergeTree(version)}
ORDER BY (kind, id, part, sequence)
SETTINGS index_granularity = 1024
COMMENT 'Everything about alerts; analysts read alerts, alert_moments, alert_deliveries and alert_orders';

CREATE OR REPLACE VIEW ${database}.alerts ${on_cluster}
(
    alert_id UUID COMMENT 'Identity, the deduplication key at destinations',
    route LowCardinality(String) COMMENT 'Route of the catalog',
    status LowCardinality(String) COMMENT 'open or closed',
    kind LowCardinality(String) COMMENT 'pain or glory',
    severity LowCardinality(String) COMMENT 'The highest of its moments',
    rule LowCardinality(String) COMMENT 'Rule its moments have in common, or empty',
    owner LowCardinality(String) COMMENT 'Who is told; several are joined by commas',
    moments UInt32 COMMENT 'Moments in it',
    open_moments UInt32 COMMENT 'Those among them that are not closed',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it was opened',
    closed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When its last moment closed',
    acknowledged_by String COMMENT 'Who acknowledged it, or empty',
    changed_at DateTime64(6, 'UTC') COMMENT 'When it last changed'
)
AS SELECT
    id AS alert_id, route, status, moment_kind AS kind, severity, rule, owner, moments,
    open_moments, created_at AS opened_at, ended_at AS closed_at, actor AS acknowledged_by,
    changed_at
FROM ${database}.alert_records FINAL
WHERE alert_records.kind = 'alert'
COMMENT 'Alerts: moments that people were told of together';

CREATE OR REPLACE VIEW ${database}.alert_moments ${on_cluster}
(
    moment_id UUID COMMENT 'The moment',
    route LowCardinality(String) COMMENT 'Route that took it',
    decision LowCardinality(String) COMMENT 'alerted, held or suppressed',
    reason LowCardinality(String) COMMENT 'Why it is held or suppressed: quiet_hours, silenced, cooldown, too_old, closed_before, closed_while_held, route_gone',
    alert_id Nullable(UUID) COMMENT 'Alert that it is part of',
    moment_status LowCardinality(String) COMMENT 'Status of the moment when the alerter last looked',
    revision UInt32 COMMENT 'Its revision then',
    kind LowCardinality(String) COMMENT 'pain or glory',
    rule LowCardinality(String) COMMENT 'Rule that found it',
    severity LowCardinality(String) COMMENT 'low, medium, high or critical',
    owner LowCardinality(String) COMMENT 'Who is told',
    customer_key String COMMENT 'Customer: keyed hash',
    segment LowCardinality(String) COMMENT 'Segment as the causing event says',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint of the causing event',
    channel LowCardinality(String) COMMENT 'Channel of the causing event',
    subject String COMMENT 'Case, need or value the rule looked at',
    cause_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the causing event happened',
    occurred_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it became a moment',
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided',
    held_until Nullable(DateTime64(6, 'UTC')) COMMENT 'A held one waits until then'
)
AS SELECT
    id AS moment_id, route, status AS decision, reason,
    -- one that was opened again, and is held or suppressed now, still names the alert it was in
    if(alert_records.status = 'alerted', toNullable(alert_records.alert_id), NULL) AS alert_id,
    moment_status, revision, moment_kind AS kind, rule, severity, owner, customer_key, segment,
    touchpoint, channel, subject, cause_at, occurred_at, created_at AS decided_at, due_at AS held_until
FROM ${database}.alert_records FINAL
WHERE alert_records.kind = 'moment'
COMMENT 'What each route made of each moment: who is told of it, or why not';

CREATE OR REPLACE VIEW ${database}.alert_deliveries ${on_cluster}
(
    alert_id UUID COMMENT 'The alert',
    destination LowCardinality(String) COMMENT 'Destination of the catalog',
    sequence UInt32 COMMENT 'Place within the alert',
    action LowCardinality(String) COMMENT 'trigger, update, acknowledge or resolve',
    status LowCardinality(String) COMMENT 'pending, sent, dead (given up), superseded (a later one says it all) or skipped (nothing to take back)',
    route LowCardinality(String) COMMENT 'Route of the catalog',
    title String COMMENT 'What was told, in one line',
    attempts UInt32 COMMENT 'How often it was tried',
    http_status UInt16 COMMENT 'What the last try was answered with, or 0',
    detail String COMMENT 'Last answer or error',
    created_at DateTime64(6, 'UTC') COMMENT 'When it was decided',
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was sent, given up or superseded',
    next_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When a pending one is tried next'
)
AS SELECT
    id AS alert_id, destination, sequence, action, status, route,
    JSONExtractString(body, 'title') AS title, attempts, http_status, detail, created_at, ended_at,
    due_at AS next_at
FROM ${database}.alert_records FINAL
WHERE alert_records.kind = 'delivery'
COMMENT 'The outbox: what was told to whom, when, and what became of it';

CREATE OR REPLACE VIEW ${database}.alert_orders ${on_cluster}
(
    order_id UUID COMMENT 'Identity',
    action LowCardinality(String) COMMENT 'acknowledge, silence, unsilence or redeliver',
    status LowCardinality(String) COMMENT 'asked: the alerter has not seen it. active: a silence that goes on. done',
    alert_id Nullable(UUID) COMMENT 'Alert it is about',
    rule LowCardinality(String) COMMENT 'Silenced rule, or empty for any',
    owner LowCardinality(String) COMMENT 'Silenced owner, or empty for any',
    destination LowCardinality(String) COMMENT 'Destination it is about, or empty for any',
    made_by String COMMENT 'Who ordered',
    reason String COMMENT 'Why',
    made_at DateTime64(6, 'UTC') COMMENT 'When',
    until Nullable(DateTime64(6, 'UTC')) COMMENT 'A silence ends then'
)
AS SELECT
    id AS order_id, action, status, nullIf(alert_id, toUUID('00000000-0000-0000-0000-000000000000')) AS alert_id,
    rule, owner, destination, actor AS made_by, detail AS reason, created_at AS made_at, due_at AS until
FROM ${database}.alert_records FINAL
WHERE alert_records.kind = 'order'
COMMENT 'What people ordered: acknowledged, silenced, delivered again';
