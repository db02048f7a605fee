-- What analysts use: one row an event, with its lifecycle stage.
--
-- Duplicates (the same customer_key and event_id, wherever they stand in Kafka) collapse to the
-- record with the smallest (topic, topic_id, partition, offset); of a record stored twice the
-- newest ingested_at counts, as ReplacingMergeTree would choose. LIMIT 1 BY along the table's own
-- order reads in that order, needs no FINAL, and is right before merges as after them.
--
-- The stage is resolved over the customer's history by the rule of pipeline.classify.stage_of: the
-- first option of stage_after whose fact happened at least `times` times in earlier events, else
-- stage_default. Earlier means a smaller (occurred_at, event_id). It is computed from the table
-- when read, so records may arrive in any order.
--
-- A filter on customer_key reaches the primary key (since ClickHouse 26.7; before, all is read).
-- The rest works on ClickHouse 25.8 or newer.
-- A filter on any other column is applied after duplicates are collapsed and stages resolved.

CREATE OR REPLACE VIEW ${database}.interactions ${on_cluster}
(
    customer_key String COMMENT 'Customer: keyed hash of the strongest identifier, 32 hexadecimal characters',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When it happened',
    event_id String COMMENT 'Id of the event, unique for a customer',
    channel LowCardinality(String) COMMENT 'Medium: web, email, phone, store, …',
    action LowCardinality(String) COMMENT 'What happened on the channel',
    direction LowCardinality(String) COMMENT 'inbound (from the customer), outbound, or empty where unknown',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint by the catalog, or unclassified',
    stage LowCardinality(String) COMMENT 'Lifecycle stage, given what the customer did before, or unclassified',
    need LowCardinality(String) COMMENT 'What the customer wanted: as delivered, else the touchpoint''s typical need',
    segment LowCardinality(String) COMMENT 'Group of the customer as delivered, or empty',
    language LowCardinality(String) COMMENT 'Language as a BCP 47 tag, or empty',
    facts Array(LowCardinality(String)) COMMENT 'What the customer has done by this interaction, e.g. purchase',
    case_ids Map(LowCardinality(String), String) COMMENT 'Threads it belongs to: order_id, ticket_id, …',
    rating_scale LowCardinality(String) COMMENT 'Scale of the rating: nps, csat, ces, stars, or empty',
    rating_score Nullable(Float32) COMMENT 'Score on that scale',
    sentiment Nullable(Float32) COMMENT 'Mood of what was said, from -1 (bad) to 1 (good)',
    amount Nullable(Decimal(18, 4)) COMMENT 'Money that moved, in units of the currency',
    currency LowCardinality(String) COMMENT 'ISO 4217 code, or empty',
    promise_due_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When what was promised here is due',
    details String COMMENT 'Details of the channel, a JSON object',
    extra String COMMENT 'Fields of the envelope that the contract does not know, a JSON object, or empty',
    identity_keys Map(LowCardinality(String), String) COMMENT 'Keyed hash of every identifier, by kind',
    stage_default LowCardinality(String) COMMENT 'Lifecycle stage at face value, before the customer''s history is looked at',
    stage_after Array(Tuple(fact String, times UInt8, stage String)) COMMENT 'Stage instead, where the customer has done fact so many times before; the first that applies',
    catalog_version LowCardinality(String) COMMENT 'Catalog that classified the record',
    schema_version LowCardinality(String) COMMENT 'Version of the event contract',
    sent_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the producer sent it',
    kafka_at DateTime64(3, 'UTC') COMMENT 'Timestamp of the Kafka record',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When a worker took the record',
    topic LowCardinality(String) COMMENT 'Kafka topic of the record',
    topic_id UUID COMMENT 'Id of the topic: one that is made again reuses offsets',
    partition UInt32 COMMENT 'Kafka partition',
    offset UInt64 COMMENT 'Kafka offset'
)
AS SELECT
    customer_key, occurred_at, event_id, channel, action, direction, touchpoint,
    if(
        touchpoint = 'unclassified',
        'unclassified',
        arrayFirst(
            option -> times_before.2[indexOf(times_before.1, option.fact)] >= option.times,
            -- the face value comes last and, wanted no times before, always applies
            arrayPushBack(
                stage_after,
                CAST(('', 0, stage_default), 'Tuple(fact String, times UInt8, stage String)')
            )
        ).stage
    ) AS stage,
    need, segment, language, facts, case_ids, rating_scale, rating_score, sentiment, amount,
    currency, promise_due_at, details, extra, identity_keys, stage_default, stage_after,
    catalog_version, schema_version, sent_at, kafka_at, ingested_at, topic, topic_id, partition,
    offset
FROM
(
    SELECT
        *,
        -- (facts, how many earlier events of the customer have each)
        sumMap(
            arrayDistinct(facts), arrayMap(_ -> toUInt64(1), arrayDistinct(facts))
        ) OVER (
            PARTITION BY customer_key
            ORDER BY occurred_at, event_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS times_before
    FROM
    (
        SELECT *
        FROM ${database}.interaction_records
        ORDER BY customer_key, event_id, topic, topic_id, partition, offset, ingested_at DESC
        LIMIT 1 BY customer_key, event_id
    )
) AS events
COMMENT 'Interactions of customers: one row an event, duplicates collapsed, stage resolved';
