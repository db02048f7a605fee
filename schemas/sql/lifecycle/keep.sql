-- Rows leave a table so many days after a time of theirs. `touchline migrate` runs this for each table
-- whose term is set and is not yet the table's own (pipeline/warehouse/lifecycle.py names them).
--
-- Where a table is partitioned by the month of that time, a part is dropped whole when its last row is
-- due and rows are never rewritten: they stay up to a month longer, and dropping costs nothing.
-- Otherwise merges leave rows out. Either way it happens when merges happen: soon, not to the hour.
-- ClickHouse looks through the parts that are there already in the background.
-- Placeholders besides those of the migrations: ${name}, the table; ${column}; ${days}; ${whole}, 1 to
-- drop whole parts only, else 0.

ALTER TABLE ${database}.${name} ${on_cluster}
    MODIFY SETTING ttl_only_drop_parts = ${whole};

ALTER TABLE ${database}.${name} ${on_cluster}
    MODIFY TTL ${column} + toIntervalDay(${days});
