-- How much an export will read, and where it can be cut into ranges: the records, and a sample of what
-- they are ordered by, which is the customer, or the case id where that is the case.
SELECT count(), groupArraySample(8192, 1)(place)
FROM
(
    SELECT if({case:String} IN ('journey', 'customer'), customer_key, case_ids[{case:String}]) AS place
    FROM interaction_records
    WHERE occurred_at < {until:DateTime64(6, 'UTC')}
)
WHERE place != ''
