-- Moments by day
-- The trend: every day from the first moment to the last, in UTC, also one on which nothing occurred.
-- What was retracted is counted apart.
--
-- param since DateTime64(6, 'UTC') = 1970-01-01: moments that occurred at or after this
-- param until DateTime64(6, 'UTC') = 2100-01-01: moments that occurred before this
-- param segment String = : only customers of this segment, the latest delivered; all where empty
-- param rule String = : only moments of this rule; all where empty
--
-- column day text: day on which they occurred, such as 2026-10-01
-- column pains count: moments of pain, resolved ones included
-- column open_pains count: those that nothing mended yet
-- column resolved_pains count: those that were mended, on that day or later
-- column glories count: moments of glory
-- column retracted count: moments that turned out to be none
-- column customers_in_pain count: distinct customers with a moment of pain
SELECT
    toString(date) AS day, pains, open_pains, resolved_pains, glories, retracted, customers_in_pain
FROM
(
    SELECT
        toDate(occurred_at, 'UTC') AS date,
        countIf(kind = 'pain' AND status != 'retracted') AS pains,
        countIf(kind = 'pain' AND status = 'open') AS open_pains,
        countIf(kind = 'pain' AND status = 'resolved') AS resolved_pains,
        countIf(kind = 'glory' AND status != 'retracted') AS glories,
        countIf(status = 'retracted') AS retracted,
        uniqExactIf(customer_key, kind = 'pain' AND status != 'retracted') AS customers_in_pain
    FROM moments_before(before = {until:DateTime64(6, 'UTC')})
    WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
        AND ({segment:String} = '' OR customer_segment = {segment:String})
        AND ({rule:String} = '' OR rule = {rule:String})
    GROUP BY date
    ORDER BY date WITH FILL STEP 1
)
ORDER BY day
