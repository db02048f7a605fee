-- What has been applied to this database, so that a migration runs once, an edited one is noticed
-- and a program refuses a database newer than itself.
--
-- A file of this folder is applied in the order of its number, statement by statement; every
-- statement can be run again. A shipped file is never edited: a change is a new file.
-- Placeholders, for a single server and with a cluster named (pipeline/warehouse/migrate.py):
--   ${database}                       the database
--   ${on_cluster}                     nothing; ON CLUSTER name
--   ${cluster}                        nothing; the cluster's name as a literal
--   ${table:NAME}                     NAME; NAME_local, behind a Distributed table called NAME
--   ${engine:NAME(ARGUMENTS)}         as it is; its Replicated form, one copy a shard
--   ${engine_everywhere:NAME(…)}      as it is; its Replicated form, the same rows on every node
-- A comment `-- if: no database` or `-- if: cluster` limits the statement below it to that.
--
-- ORDER BY number: one row a migration; a second one of the same number replaces the first.
-- No TTL: a few rows for ever.

-- if: no database
CREATE DATABASE IF NOT EXISTS ${database} ${on_cluster};

CREATE TABLE IF NOT EXISTS ${database}.schema_migrations ${on_cluster}
(
    number UInt32 COMMENT 'Number of the migration, from the name of its file',
    name LowCardinality(String) COMMENT 'Name of its file',
    checksum String COMMENT 'SHA-256 of the file as it was applied, in hexadecimal',
    cluster LowCardinality(String) COMMENT 'Cluster it was applied to, empty on a single server',
    applied_at DateTime64(3, 'UTC') COMMENT 'When its last statement had run'
)
ENGINE = ${engine_everywhere:ReplacingMergeTree(applied_at)}
ORDER BY number
COMMENT 'The migrations that were applied; `touchline migrate` writes it';
