-- Three strikes
-- Who is likely to leave: customers with as many unresolved pains as the current catalog's threshold,
-- within its rolling window, as of now or of `until` where that is earlier. Pains of every rule but
-- three_strikes count, from when they occurred until they are resolved or leave the window. Empty
-- where the catalog does not look for strikes. How many pains a customer has is never filtered: of the
-- customers who are struck, the filters choose those with a counting pain that fits.
--
-- param since DateTime64(6, 'UTC') = 1970-01-01: customers whose first such pain occurred at or after this
-- param until DateTime64(6, 'UTC') = 2100-01-01: as things stood at this instant
-- param segment String = : only customers of this segment, the latest delivered; (none) for those without
-- param channel String = : only customers with a counting pain that an interaction on this channel caused
-- param stage String = : only customers with one that an interaction at this lifecycle stage caused
-- param touchpoint String = : only customers with one that an interaction at this touchpoint caused
-- param outcome String = : only customers with one from a journey whose last outcome is this; (none) for journeys without
--
-- column customer_key text: customer
-- column segment text: segment: the latest delivered, or empty
-- column pains count: unresolved pains in the window
-- column first_pain_at time: when the first of them occurred
-- column last_pain_at time: when the last of them occurred
-- column rules list: rules that found them
-- column owners list: who was told of them
WITH fitting AS
(
    SELECT moment_id, customer_segment
    FROM filtered_moments(
        since = '1900-01-01',
        until = '2299-01-01',
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
)
SELECT
    customer_key,
    -- of a pain that does not fit it is empty
    max(fitting.customer_segment) AS segment,
    count() AS pains,
    min(occurred_at) AS first_pain_at,
    max(occurred_at) AS last_pain_at,
    arraySort(groupUniqArray(rule)) AS rules,
    arraySort(groupUniqArray(owner)) AS owners
FROM strike_pains_at(at = least({until:DateTime64(6, 'UTC')}, now64(6, 'UTC'))) AS counting
LEFT JOIN fitting ON fitting.moment_id = counting.moment_id
GROUP BY customer_key, threshold
HAVING threshold > 0
    AND pains >= threshold
    AND first_pain_at >= {since:DateTime64(6, 'UTC')}
    AND countIf(fitting.moment_id = counting.moment_id) > 0
ORDER BY pains DESC, last_pain_at DESC, customer_key
