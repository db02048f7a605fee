-- What could not be used and why, for counting. The records themselves, whole, are in the topic
-- interactions.rejected; nothing of their content is here.
--
-- ORDER BY where the record stands in Kafka: a rejection listed twice collapses, and the sink's
-- read-back of a range of offsets is a range of the primary key. Not partitioned: the only time
-- that is always the same for a record is Kafka's, which producers choose and may be anything.
-- TTL: none yet.

CREATE TABLE IF NOT EXISTS ${database}.${table:rejections} ${on_cluster}
(
    topic LowCardinality(String) COMMENT 'Kafka topic of the record',
    topic_id UUID COMMENT 'Id of the topic: one that is made again reuses offsets',
    partition UInt32 COMMENT 'Kafka partition',
    offset UInt64 COMMENT 'Kafka offset' CODEC(Delta, ZSTD(1)),
    kafka_at DateTime64(3, 'UTC') COMMENT 'Timestamp of the Kafka record' CODEC(Delta, ZSTD(1)),
    rejected_at DateTime64(3, 'UTC') COMMENT 'When a worker rejected it' CODEC(Delta, ZSTD(1)),
    reason LowCardinality(String) COMMENT 'Why, as a stable code',
    field String COMMENT 'Field at fault, or empty' CODEC(ZSTD(1)),
    error String COMMENT 'What is wrong, in words without any value of the record' CODEC(ZSTD(1)),
    bytes UInt32 COMMENT 'Size of the record''s value, bytes'
)
ENGINE = ${engine:ReplacingMergeTree(rejected_at)}
ORDER BY (topic, topic_id, partition, offset)
COMMENT 'Records that could not be used, with the reason; read it with FINAL';

-- if: cluster
CREATE TABLE IF NOT EXISTS ${database}.rejections ${on_cluster}
AS ${database}.${table:rejections}
ENGINE = Distributed(${cluster}, ${database}, ${table:rejections}, cityHash64(topic, partition, offset))
COMMENT 'Records that could not be used, with the reason; read it with FINAL';
