-- How much an export will read, and where it can be cut into ranges: the steps, and a sample of what
-- they are ordered by, which is the customer, or the case id where that is the case.
SELECT count(), groupArraySample(8192, 1)(place)
FROM
(
    SELECT
        if(
            {case:String} IN ('journey', 'customer'),
            customer_key,
            substring(
                arrayFirst(each -> startsWith(each, concat({case:String}, ':')), cases),
                length({case:String}) + 2
            )
        ) AS place
    FROM steps
    WHERE occurred_at < {until:DateTime64(6, 'UTC')}
)
WHERE place != ''
