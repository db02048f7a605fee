-- What a journey can come to, by the catalog: a purchase, a case solved.
--
-- ORDER BY version and place: an interaction reaches the first outcome that applies. One row an
-- outcome and touchpoint. As the other tables of the catalog: the same rows on every node, no TTL.

CREATE TABLE IF NOT EXISTS ${database}.catalog_outcomes ${on_cluster}
(
    version String COMMENT 'Version of the catalog',
    position UInt32 COMMENT 'Place in the catalog, from 1',
    outcome LowCardinality(String) COMMENT 'Id of the outcome',
    name String COMMENT 'Name of the outcome',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint that reaches it',
    actions Array(String) COMMENT 'Actions there that reach it; empty for any',
    ends_journey Bool COMMENT 'Whether what follows is a new journey'
)
ENGINE = ${engine_everywhere:ReplacingMergeTree}
ORDER BY (version, position, outcome, touchpoint)
COMMENT 'Outcomes of every catalog version, by touchpoint';

CREATE OR REPLACE VIEW ${database}.outcomes ${on_cluster}
(
    position UInt32 COMMENT 'Place in the catalog, from 1',
    outcome LowCardinality(String) COMMENT 'Id of the outcome',
    name String COMMENT 'Name of the outcome',
    touchpoint LowCardinality(String) COMMENT 'Touchpoint that reaches it',
    actions Array(String) COMMENT 'Actions there that reach it; empty for any',
    ends_journey Bool COMMENT 'Whether what follows is a new journey'
)
AS SELECT position, outcome, name, touchpoint, actions, ends_journey
FROM ${database}.catalog_outcomes FINAL
WHERE version = (SELECT version FROM ${database}.current_catalog)
ORDER BY position
COMMENT 'Outcomes of the current catalog, one row a touchpoint';
