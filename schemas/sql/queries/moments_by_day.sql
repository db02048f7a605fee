-- Moments by day
-- The trend: every day from the first moment to the last, in UTC, also one on which nothing occurred.
-- What was retracted is counted apart.
--
-- filters moments
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
    FROM filtered_moments(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
    WHERE ({rule:String} = '' OR rule = {rule:String})
    GROUP BY date
    ORDER BY date WITH FILL STEP 1
)
ORDER BY day
