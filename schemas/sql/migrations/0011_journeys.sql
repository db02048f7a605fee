-- Journeys, ready to be counted: every interaction as a step of its customer's journey, and every
-- journey as a row. What a batch of records or moments touches is computed anew from the base tables,
-- customer by customer, and replaces what was there (pipeline/warehouse/refresh.py): so duplicates,
-- replays and late events never count twice, and a rebuild gives the same rows.
--
-- Both tables are read with FINAL, partition by partition, as the views steps and journeys do: a row
-- never moves to another month, it is deleted in the one and added in the other.

-- Which customers a batch touched. Written before the batch is acknowledged, so none is forgotten.
-- ORDER BY how it is read: the batches of a worker's partitions. TTL: what nobody refreshed in a
-- month is for `touchline rebuild`.
CREATE TABLE IF NOT EXISTS ${database}.${table:customer_changes} ${on_cluster}
(
    partition UInt32 COMMENT 'Kafka partition of the customer',
    batch UUID COMMENT 'Batch that touched the customer',
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters',
    changed_at DateTime DEFAULT now() COMMENT 'When it was written'
)
ENGINE = ${engine:ReplacingMergeTree}
PARTITION BY toMonday(changed_at)
ORDER BY (partition, batch, customer_key)
TTL changed_at + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1
COMMENT 'Customers whose journeys are to be computed anew';

-- if: cluster
CREATE TABLE IF NOT EXISTS ${database}.customer_changes ${on_cluster}
AS ${database}.${table:customer_changes}
ENGINE = Distributed(${cluster}, ${database}, ${table:customer_changes}, cityHash64(customer_key))
COMMENT 'Customers whose journeys are to be computed anew';

-- Which batches are in the journeys. Small, and needed whole: the same rows on every node.
CREATE TABLE IF NOT EXISTS ${database}.customer_refreshes ${on_cluster}
(
    partition UInt32 COMMENT 'Kafka partition of the customers',
    batch UUID COMMENT 'Batch whose customers were computed anew',
    version UInt64 COMMENT 'Version of the rows that were written, microseconds of the server''s clock',
    refreshed_at DateTime DEFAULT now() COMMENT 'When it was done'
)
ENGINE = ${engine_everywhere:ReplacingMergeTree}
ORDER BY (partition, batch)
TTL refreshed_at + INTERVAL 60 DAY
COMMENT 'Batches of customer_changes that are in the journeys';

-- ORDER BY customer and event, which is what a step is; the newest version counts. PARTITION BY month
-- of the event, for dropping and for questions about a time. Granules are small, because a customer's
-- history and every refresh look up single customers.
CREATE TABLE IF NOT EXISTS ${database}.${table:step_records} ${on_cluster}
(
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters' CODEC(ZSTD(1)),
    event_id String COMMENT 'Id of the event, unique for a customer' CODEC(ZSTD(1)),
    occurred_at DateTime64(6, 'UTC') COMMENT 'When it happened' CODEC(Delta, ZSTD(1)),
    journey_number UInt32 COMMENT 'Number of the journey among the customer''s, from 1',
    step UInt32 COMMENT 'Number of the step in its journey, from 1',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint, or unclassified',
    channel LowCardinality(String) COMMENT 'Medium',
    stage LowCardinality(String) COMMENT 'Lifecycle stage, given what the customer did before',
    need LowCardinality(String) COMMENT 'What the customer wanted',
    segment LowCardinality(String) COMMENT 'Latest segment delivered of the customer, or empty',
    action LowCardinality(String) COMMENT 'What happened on the channel',
    direction LowCardinality(String) COMMENT 'inbound, outbound or empty',
    outcome LowCardinality(String) COMMENT 'Outcome that it reached, or empty',
    journey_outcome LowCardinality(String) COMMENT 'Last outcome that its journey reached, or empty',
    previous_touchpoint LowCardinality(String) COMMENT 'Touchpoint of the customer''s previous interaction, or empty',
    previous_channel LowCardinality(String) COMMENT 'Channel of the customer''s previous interaction, or empty',
    seconds_since_previous Nullable(Float64) COMMENT 'Since the customer''s previous interaction, seconds' CODEC(ZSTD(1)),
    cases Array(String) COMMENT 'Threads it belongs to, each as kind:id' CODEC(ZSTD(1)),
    handoff_from LowCardinality(String) COMMENT 'Channel that a case of it was on before, where that was another; or empty',
    pains UInt16 COMMENT 'Moments of pain that it caused, retracted ones not',
    glories UInt16 COMMENT 'Moments of glory that it caused, retracted ones not',
    rules Array(LowCardinality(String)) COMMENT 'Rules that found them, in order of occurrence',
    version UInt64 COMMENT 'When it was computed, microseconds of the server''s clock' CODEC(ZSTD(1)),
    deleted UInt8 COMMENT '1 where the step is no more',
    customer_hash UInt64 MATERIALIZED cityHash64(customer_key) COMMENT 'Hash of customer_key: distinct ones are counted four times as fast'
)
ENGINE = ${engine:ReplacingMergeTree(version, deleted)}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (customer_key, event_id)
SETTINGS index_granularity = 1024
COMMENT 'Every version of every step; analysts read the view steps';

-- if: cluster
CREATE TABLE IF NOT EXISTS ${database}.step_records ${on_cluster}
AS ${database}.${table:step_records}
ENGINE = Distributed(${cluster}, ${database}, ${table:step_records}, cityHash64(customer_key))
COMMENT 'Every version of every step; analysts read the view steps';

-- ORDER BY customer and first event, which is what a journey is. PARTITION BY month of its start.
-- The steps stand in it as arrays, in order, so that paths, funnels and shares need no grouping.
CREATE TABLE IF NOT EXISTS ${database}.${table:journey_records} ${on_cluster}
(
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters' CODEC(ZSTD(1)),
    first_event_id String COMMENT 'Id of its first event' CODEC(ZSTD(1)),
    journey_number UInt32 COMMENT 'Number among the customer''s journeys, from 1',
    segment LowCardinality(String) COMMENT 'Latest segment delivered of the customer, or empty',
    started_at DateTime64(6, 'UTC') COMMENT 'When its first interaction happened' CODEC(Delta, ZSTD(1)),
    ended_at DateTime64(6, 'UTC') COMMENT 'When its last interaction happened' CODEC(Delta, ZSTD(1)),
    path Array(LowCardinality(String)) COMMENT 'Touchpoint of every step' CODEC(ZSTD(1)),
    step_channels Array(LowCardinality(String)) COMMENT 'Channel of every step' CODEC(ZSTD(1)),
    step_stages Array(LowCardinality(String)) COMMENT 'Lifecycle stage of every step' CODEC(ZSTD(1)),
    step_outcomes Array(LowCardinality(String)) COMMENT 'Outcome of every step, or empty' CODEC(ZSTD(1)),
    step_at Array(DateTime64(6, 'UTC')) COMMENT 'When every step happened' CODEC(Delta, ZSTD(1)),
    handoffs UInt32 COMMENT 'Steps at which a case came from another channel',
    pains UInt32 COMMENT 'Moments of pain that its steps caused, retracted ones not',
    glories UInt32 COMMENT 'Moments of glory that its steps caused, retracted ones not',
    rules Array(LowCardinality(String)) COMMENT 'Rules that found them, in the order of the steps' CODEC(ZSTD(1)),
    version UInt64 COMMENT 'When it was computed, microseconds of the server''s clock' CODEC(ZSTD(1)),
    deleted UInt8 COMMENT '1 where the journey is no more'
)
ENGINE = ${engine:ReplacingMergeTree(version, deleted)}
PARTITION BY toYYYYMM(started_at)
ORDER BY (customer_key, first_event_id)
SETTINGS index_granularity = 1024
COMMENT 'Every version of every journey; analysts read the view journeys';

-- if: cluster
CREATE TABLE IF NOT EXISTS ${database}.journey_records ${on_cluster}
AS ${database}.${table:journey_records}
ENGINE = Distributed(${cluster}, ${database}, ${table:journey_records}, cityHash64(customer_key))
COMMENT 'Every version of every journey; analysts read the view journeys';
