-- The writer is the worker: `touchline worker`, and what adds up after it (`produce`, `ingest`,
-- `backtest --apply`); and the alerter with its commands (`ack`, `silence`, `alerts`). It adds rows and reads back what is there; it changes and removes nothing, and
-- sees no view but those that tell what the current catalog says.
--
-- Reading back is part of writing: how far each Kafka partition is stored, what was found, the past
-- that detection begins from, and whether the tables are those that this version expects.

CREATE ROLE IF NOT EXISTS ${role:writer} ${on_cluster};

GRANT ${on_cluster}
    SELECT ON ${database}.schema_migrations,
    ${grant:SELECT, INSERT:interaction_records},
    ${grant:SELECT, INSERT:rejections},
    ${grant:SELECT, INSERT:moment_records},
    ${grant:SELECT, INSERT:promise_records},
    ${grant:SELECT, INSERT:step_records},
    ${grant:SELECT, INSERT:journey_records},
    ${grant:SELECT, INSERT:customer_changes},
    SELECT, INSERT ON ${database}.customer_refreshes,
    SELECT, INSERT ON ${database}.detection_progress,
    SELECT, INSERT ON ${database}.alert_records,
    SELECT, INSERT ON ${database}.catalog_versions,
    SELECT, INSERT ON ${database}.catalog_channels,
    SELECT, INSERT ON ${database}.catalog_needs,
    SELECT, INSERT ON ${database}.catalog_stages,
    SELECT, INSERT ON ${database}.catalog_segments,
    SELECT, INSERT ON ${database}.catalog_touchpoints,
    SELECT, INSERT ON ${database}.catalog_rules,
    SELECT, INSERT ON ${database}.catalog_promises,
    SELECT, INSERT ON ${database}.catalog_outcomes,
    SELECT ON ${database}.current_catalog,
    SELECT ON ${database}.outcomes,
    SELECT ON ${database}.channels
TO ${role:writer}
WITH REPLACE OPTION;
