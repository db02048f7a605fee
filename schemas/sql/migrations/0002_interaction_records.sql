-- Every record that was accepted, exactly as it was delivered, duplicates included: nothing ever
-- vanishes from here. Analysts read the view `interactions`, which has one row an event.
--
-- ORDER BY: first customer and event, because every question is asked per customer and the view
-- collapses duplicates along that order; then where the record stands in Kafka, so that
-- ReplacingMergeTree collapses only the same record stored twice (by a worker that was thought
-- dead), never two records. Of those the newest by ingested_at is kept. The primary key is shorter
-- than the order, to keep it small in memory.
-- PARTITION BY month of the event: late events go where they belong, and old months can be dropped.
--
-- Two projections serve the sink's read-back, which asks how far each Kafka partition is stored
-- and which offsets of a range are there; without them it would read the whole table. Merges that
-- replace rows and lightweight deletes build them anew.
--
-- The deduplication window stays at its default of 0 on a single server: tokens can drop rows that
-- were never stored. TTL: none yet.

CREATE TABLE IF NOT EXISTS ${database}.${table:interaction_records} ${on_cluster}
(
    topic LowCardinality(String) COMMENT 'Kafka topic of the record',
    topic_id UUID COMMENT 'Id of the topic: one that is made again reuses offsets',
    partition UInt32 COMMENT 'Kafka partition',
    offset UInt64 COMMENT 'Kafka offset' CODEC(Delta, ZSTD(1)),
    kafka_at DateTime64(3, 'UTC') COMMENT 'Timestamp of the Kafka record' CODEC(Delta, ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') COMMENT 'When a worker took the record' CODEC(Delta, ZSTD(1)),
    event_id String COMMENT 'Idempotency key of the producer' CODEC(ZSTD(1)),
    schema_version LowCardinality(String) COMMENT 'Version of the event contract',
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters' CODEC(ZSTD(1)),
    identity_keys Map(LowCardinality(String), String) COMMENT 'Keyed hash of every identifier, by kind' CODEC(ZSTD(1)),
    channel LowCardinality(String) COMMENT 'Medium: web, email, phone, store, …',
    action LowCardinality(String) COMMENT 'What happened on the channel',
    direction LowCardinality(String) COMMENT 'inbound (from the customer), outbound, or empty where unknown',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint by the catalog, or unclassified',
    need LowCardinality(String) COMMENT 'What the customer wanted: as delivered, else the touchpoint''s typical need',
    stage_default LowCardinality(String) COMMENT 'Lifecycle stage at face value, before the customer''s history is looked at',
    stage_after Array(Tuple(fact String, times UInt8, stage String)) COMMENT 'Stage instead, where the customer has done fact so many times before; the first that applies' CODEC(ZSTD(1)),
    facts Array(LowCardinality(String)) COMMENT 'What the customer has done by this interaction, e.g. purchase',
    catalog_version LowCardinality(String) COMMENT 'Catalog that classified the record',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When it happened' CODEC(Delta, ZSTD(1)),
    sent_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the producer sent it',
    promise_due_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When what was promised here is due',
    segment LowCardinality(String) COMMENT 'Group of the customer as delivered, or empty',
    language LowCardinality(String) COMMENT 'Language as a BCP 47 tag, or empty',
    case_ids Map(LowCardinality(String), String) COMMENT 'Threads it belongs to: order_id, ticket_id, …' CODEC(ZSTD(1)),
    rating_scale LowCardinality(String) COMMENT 'Scale of the rating: nps, csat, ces, stars, or empty',
    rating_score Nullable(Float32) COMMENT 'Score on that scale',
    sentiment Nullable(Float32) COMMENT 'Mood of what was said, from -1 (bad) to 1 (good)',
    amount Nullable(Decimal(18, 4)) COMMENT 'Money that moved, in units of the currency',
    currency LowCardinality(String) COMMENT 'ISO 4217 code, or empty',
    details String COMMENT 'Details of the channel, a JSON object' CODEC(ZSTD(1)),
    extra String COMMENT 'Fields of the envelope that the contract does not know, a JSON object, or empty' CODEC(ZSTD(1)),
    PROJECTION by_offset
    (
        SELECT topic, topic_id, partition, offset
        ORDER BY topic, topic_id, partition, offset
    ),
    PROJECTION stored_to
    (
        SELECT topic, topic_id, partition, max(offset)
        GROUP BY topic, topic_id, partition
    )
)
ENGINE = ${engine:ReplacingMergeTree(ingested_at)}
PARTITION BY toYYYYMM(occurred_at)
PRIMARY KEY (customer_key, event_id)
ORDER BY (customer_key, event_id, topic, topic_id, partition, offset)
SETTINGS deduplicate_merge_projection_mode = 'rebuild', lightweight_mutation_projection_mode = 'rebuild'
COMMENT 'Every accepted record as delivered, duplicates included; analysts read the view interactions';

-- Sharded by customer: everything that is computed is computed per customer.
-- if: cluster
CREATE TABLE IF NOT EXISTS ${database}.interaction_records ${on_cluster}
AS ${database}.${table:interaction_records}
ENGINE = Distributed(${cluster}, ${database}, ${table:interaction_records}, cityHash64(customer_key))
COMMENT 'Every accepted record as delivered, duplicates included; analysts read the view interactions';
