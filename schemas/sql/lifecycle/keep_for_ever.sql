-- Rows stay for ever again: run by `touchline migrate` for a table that has a term of ours, and none is
-- set any more. What is gone stays gone. Placeholders as in keep.sql.

ALTER TABLE ${database}.${name} ${on_cluster}
    REMOVE TTL;

ALTER TABLE ${database}.${name} ${on_cluster}
    RESET SETTING ttl_only_drop_parts;
