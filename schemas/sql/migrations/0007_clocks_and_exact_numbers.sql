-- What detecting moments needs of a record: how its clock stood, and its numbers as they were sent.
--
-- `clock` says where the time of an event could not be taken as it came; `claimed_at` keeps what was
-- claimed. Scores, moods and due times are kept as exactly as JSON carries them, so that a rule finds
-- the same in stored records as in delivered ones: a Float32 is not the 0.1 that was sent, and a due
-- time with microseconds is not one without. What was stored before keeps the value it was stored
-- with. None of these columns is in a projection or in a key, so nothing else is rewritten.
--
-- On a cluster the tables that hold rows change first, then the Distributed one before them.

ALTER TABLE ${database}.${table:interaction_records} ${on_cluster}
    ADD COLUMN IF NOT EXISTS clock LowCardinality(String) COMMENT 'How the time it claims stood to the watermark and the worker''s clock: empty for fine, late (beyond the allowed lateness), future (claimed a time in the future, clamped)',
    ADD COLUMN IF NOT EXISTS claimed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it claims to have happened, where occurred_at was clamped';

ALTER TABLE ${database}.${table:interaction_records} ${on_cluster}
    MODIFY COLUMN rating_score Nullable(Float64) COMMENT 'Score on that scale',
    MODIFY COLUMN sentiment Nullable(Float64) COMMENT 'Mood of what was said, from -1 (bad) to 1 (good)',
    MODIFY COLUMN promise_due_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what was promised here is due';

-- if: cluster
ALTER TABLE ${database}.interaction_records ${on_cluster}
    ADD COLUMN IF NOT EXISTS clock LowCardinality(String) COMMENT 'How the time it claims stood to the watermark and the worker''s clock: empty for fine, late (beyond the allowed lateness), future (claimed a time in the future, clamped)',
    ADD COLUMN IF NOT EXISTS claimed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it claims to have happened, where occurred_at was clamped';

-- if: cluster
ALTER TABLE ${database}.interaction_records ${on_cluster}
    MODIFY COLUMN rating_score Nullable(Float64) COMMENT 'Score on that scale',
    MODIFY COLUMN sentiment Nullable(Float64) COMMENT 'Mood of what was said, from -1 (bad) to 1 (good)',
    MODIFY COLUMN promise_due_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what was promised here is due';

-- The view of 0005 (which says how it works) with the new columns and types.
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
    rating_score Nullable(Float64) COMMENT 'Score on that scale',
    sentiment Nullable(Float64) COMMENT 'Mood of what was said, from -1 (bad) to 1 (good)',
    amount Nullable(Decimal(18, 4)) COMMENT 'Money that moved, in units of the currency',
    currency LowCardinality(String) COMMENT 'ISO 4217 code, or empty',
    promise_due_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what was promised here is due',
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
    clock LowCardinality(String) COMMENT 'How the time it claims stood: empty for fine, late (beyond the allowed lateness), future (clamped)',
    claimed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it claims to have happened, where occurred_at was clamped',
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
    catalog_version, schema_version, sent_at, kafka_at, ingested_at, clock, claimed_at, topic,
    topic_id, partition, offset
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
