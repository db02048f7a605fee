-- After steps.sql with the same parameters: a step of these customers that it did not write is no
-- more, e.g. because its event is now known to have happened in another month.
INSERT INTO step_records
SELECT * REPLACE ({version:UInt64} AS version, 1 AS deleted)
FROM step_records AS known FINAL
WHERE known.version < {version:UInt64}
    AND customer_key IN
    (
        SELECT customer_key FROM customer_changes
        WHERE partition IN {partitions:Array(UInt32)}
            AND batch IN {batches:Array(UUID)}
            AND customer_key >= {first:String}
            AND ({end:String} = '' OR customer_key < {end:String})
    )
