-- Three strikes
-- Who is likely to leave: customers with as many unresolved pains as the current catalog's threshold,
-- within its rolling window, as of now or of `until` where that is earlier. Pains of every rule but
-- three_strikes count, from when they occurred until they are resolved or leave the window. Empty
-- where the catalog does not look for strikes.
--
-- param since DateTime64(6, 'UTC') = 1970-01-01: customers whose first such pain occurred at or after this
-- param until DateTime64(6, 'UTC') = 2100-01-01: as things stood at this instant
-- param segment String = : only customers of this segment, the latest delivered; all where empty
--
-- column customer_key text: customer
-- column segment text: segment: the latest delivered, or empty
-- column pains count: unresolved pains in the window
-- column first_pain_at time: when the first of them occurred
-- column last_pain_at time: when the last of them occurred
-- column rules list: rules that found them
-- column owners list: who was told of them
SELECT customer_key, customer_segment AS segment, pains, first_pain_at, last_pain_at, rules, owners
FROM
(
    SELECT *
    FROM strikes_at(at = least({until:DateTime64(6, 'UTC')}, now64(6, 'UTC')))
    WHERE at_risk AND first_pain_at >= {since:DateTime64(6, 'UTC')}
) AS struck
LEFT JOIN
(
    SELECT customer_key, segment AS customer_segment
    FROM customers
) AS known ON known.customer_key = struck.customer_key
WHERE ({segment:String} = '' OR customer_segment = {segment:String})
ORDER BY pains DESC, last_pain_at DESC, customer_key
