-- The catalogs that were used, so that results carry names, owners and weights, and show what was
-- never used. A worker publishes its catalog when it starts; the one published last is current.
--
-- ORDER BY version and the entry's id: publishing a version again replaces its rows by equal ones.
-- `position` is the entry's place in the catalog file, from 1. The same rows on every node of a
-- cluster, so that they join anywhere. No TTL: small, and old rows refer to old versions.
--
-- The views stages, touchpoints, channels, needs and segments show the current catalog.

CREATE TABLE IF NOT EXISTS ${database}.catalog_versions ${on_cluster}
(
    version String COMMENT 'Version of the catalog: its author''s and a digest of its content',
    name String COMMENT 'Name of the catalog',
    published_at DateTime64(6, 'UTC') COMMENT 'When a worker last began to use it',
    journey_gap_seconds UInt64 COMMENT 'A silence longer than this begins a new journey, seconds'
)
ENGINE = ${engine_everywhere:ReplacingMergeTree(published_at)}
ORDER BY version
COMMENT 'Catalogs that classified records';

CREATE TABLE IF NOT EXISTS ${database}.catalog_channels ${on_cluster}
(
    version String COMMENT 'Version of the catalog',
    position UInt32 COMMENT 'Place in the catalog, from 1',
    channel LowCardinality(String) COMMENT 'Id of the channel',
    name String COMMENT 'Name of the channel'
)
ENGINE = ${engine_everywhere:ReplacingMergeTree}
ORDER BY (version, channel)
COMMENT 'Channels of every catalog version';

CREATE TABLE IF NOT EXISTS ${database}.catalog_needs ${on_cluster}
(
    version String COMMENT 'Version of the catalog',
    position UInt32 COMMENT 'Place in the catalog, from 1',
    need LowCardinality(String) COMMENT 'Id of the need',
    name String COMMENT 'Name of the need'
)
ENGINE = ${engine_everywhere:ReplacingMergeTree}
ORDER BY (version, need)
COMMENT 'Needs of every catalog version';

CREATE TABLE IF NOT EXISTS ${database}.catalog_stages ${on_cluster}
(
    version String COMMENT 'Version of the catalog',
    position UInt32 COMMENT 'Place in the lifecycle, from 1',
    stage LowCardinality(String) COMMENT 'Id of the stage',
    name String COMMENT 'Name of the stage',
    weight Float64 COMMENT 'Share of the interactions that the business wants here, 0 to 1',
    phase LowCardinality(String) COMMENT 'Roll-up: before, during or after the purchase',
    funnel LowCardinality(String) COMMENT 'Roll-up: awareness, consideration, decision or post_purchase'
)
ENGINE = ${engine_everywhere:ReplacingMergeTree}
ORDER BY (version, stage)
COMMENT 'Lifecycle stages of every catalog version';

CREATE TABLE IF NOT EXISTS ${database}.catalog_segments ${on_cluster}
(
    version String COMMENT 'Version of the catalog',
    position UInt32 COMMENT 'Place in the catalog, from 1',
    segment LowCardinality(String) COMMENT 'Id of the segment',
    name String COMMENT 'Name of the segment'
)
ENGINE = ${engine_everywhere:ReplacingMergeTree}
ORDER BY (version, segment)
COMMENT 'Customer segments of every catalog version';

CREATE TABLE IF NOT EXISTS ${database}.catalog_touchpoints ${on_cluster}
(
    version String COMMENT 'Version of the catalog',
    position UInt32 COMMENT 'Place in the catalog, from 1',
    touchpoint LowCardinality(String) COMMENT 'Id of the touchpoint',
    name String COMMENT 'Name of the touchpoint',
    kind LowCardinality(String) COMMENT 'communication, human, physical or sensory',
    contact LowCardinality(String) COMMENT 'digital, human or physical',
    needs Array(LowCardinality(String)) COMMENT 'Needs it serves, the typical one first',
    stage LowCardinality(String) COMMENT 'Lifecycle stage at face value',
    service Bool COMMENT 'Whether it is service and support, which cuts across the stages',
    owner LowCardinality(String) COMMENT 'Who answers for it',
    outcome String COMMENT 'What the customer should leave with',
    process String COMMENT 'Process of the company behind it',
    importance UInt8 COMMENT '5 decides the relation, 1 hardly matters'
)
ENGINE = ${engine_everywhere:ReplacingMergeTree}
ORDER BY (version, touchpoint)
COMMENT 'Touchpoints of every catalog version';

CREATE OR REPLACE VIEW ${database}.current_catalog ${on_cluster}
(
    version String COMMENT 'Version of the catalog: its author''s and a digest of its content',
    name String COMMENT 'Name of the catalog',
    published_at DateTime64(6, 'UTC') COMMENT 'When a worker last began to use it',
    journey_gap_seconds UInt64 COMMENT 'A silence longer than this begins a new journey, seconds'
)
AS SELECT version, name, published_at, journey_gap_seconds
FROM ${database}.catalog_versions FINAL
ORDER BY published_at DESC, version DESC
LIMIT 1
COMMENT 'The catalog published last: one row, or none before the first worker started';

CREATE OR REPLACE VIEW ${database}.channels ${on_cluster}
(
    position UInt32 COMMENT 'Place in the catalog, from 1',
    channel LowCardinality(String) COMMENT 'Id of the channel',
    name String COMMENT 'Name of the channel'
)
AS SELECT position, channel, name
FROM ${database}.catalog_channels FINAL
WHERE version = (SELECT version FROM ${database}.current_catalog)
ORDER BY position
COMMENT 'Channels of the current catalog';

CREATE OR REPLACE VIEW ${database}.needs ${on_cluster}
(
    position UInt32 COMMENT 'Place in the catalog, from 1',
    need LowCardinality(String) COMMENT 'Id of the need',
    name String COMMENT 'Name of the need'
)
AS SELECT position, need, name
FROM ${database}.catalog_needs FINAL
WHERE version = (SELECT version FROM ${database}.current_catalog)
ORDER BY position
COMMENT 'Needs of the current catalog';

CREATE OR REPLACE VIEW ${database}.stages ${on_cluster}
(
    position UInt32 COMMENT 'Place in the lifecycle, from 1',
    stage LowCardinality(String) COMMENT 'Id of the stage',
    name String COMMENT 'Name of the stage',
    weight Float64 COMMENT 'Share of the interactions that the business wants here, 0 to 1',
    phase LowCardinality(String) COMMENT 'Roll-up: before, during or after the purchase',
    funnel LowCardinality(String) COMMENT 'Roll-up: awareness, consideration, decision or post_purchase'
)
AS SELECT position, stage, name, weight, phase, funnel
FROM ${database}.catalog_stages FINAL
WHERE version = (SELECT version FROM ${database}.current_catalog)
ORDER BY position
COMMENT 'Lifecycle stages of the current catalog, in order';

CREATE OR REPLACE VIEW ${database}.segments ${on_cluster}
(
    position UInt32 COMMENT 'Place in the catalog, from 1',
    segment LowCardinality(String) COMMENT 'Id of the segment',
    name String COMMENT 'Name of the segment'
)
AS SELECT position, segment, name
FROM ${database}.catalog_segments FINAL
WHERE version = (SELECT version FROM ${database}.current_catalog)
ORDER BY position
COMMENT 'Customer segments of the current catalog';

CREATE OR REPLACE VIEW ${database}.touchpoints ${on_cluster}
(
    position UInt32 COMMENT 'Place in the catalog, from 1',
    touchpoint LowCardinality(String) COMMENT 'Id of the touchpoint',
    name String COMMENT 'Name of the touchpoint',
    kind LowCardinality(String) COMMENT 'communication, human, physical or sensory',
    contact LowCardinality(String) COMMENT 'digital, human or physical',
    needs Array(LowCardinality(String)) COMMENT 'Needs it serves, the typical one first',
    stage LowCardinality(String) COMMENT 'Lifecycle stage at face value',
    service Bool COMMENT 'Whether it is service and support, which cuts across the stages',
    owner LowCardinality(String) COMMENT 'Who answers for it',
    outcome String COMMENT 'What the customer should leave with',
    process String COMMENT 'Process of the company behind it',
    importance UInt8 COMMENT '5 decides the relation, 1 hardly matters'
)
AS SELECT position, touchpoint, name, kind, contact, needs, stage, service, owner, outcome, process, importance
FROM ${database}.catalog_touchpoints FINAL
WHERE version = (SELECT version FROM ${database}.current_catalog)
ORDER BY position
COMMENT 'Touchpoints of the current catalog';
