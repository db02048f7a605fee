-- Moments by segment
-- Which customers it hits: every segment of the current catalog, in its order, then others that were
-- delivered; customers without any are in the empty one. A customer's segment is the latest one
-- delivered. What was retracted is counted apart. Channel, stage, touchpoint and outcome choose
-- moments, not customers: those known before `until` are all of the segment.
--
-- filters moments
--
-- column segment text: segment of the customers
-- column customers count: customers known before `until`, whatever happened to them
-- column customers_in_pain count: those of them with a moment of pain
-- column share_in_pain share: customers with a moment of pain, of all customers; 0 where there are none
-- column pains count: moments of pain, resolved ones included
-- column open_pains count: those that nothing mended yet
-- column resolved_pains count: those that were mended
-- column glories count: moments of glory
-- column retracted count: moments that turned out to be none
SELECT
    segment,
    sum(known) AS customers,
    sum(hurt) AS customers_in_pain,
    if(customers = 0, 0, customers_in_pain / customers) AS share_in_pain,
    sum(pained) AS pains,
    sum(opened) AS open_pains,
    sum(mended) AS resolved_pains,
    sum(gloried) AS glories,
    sum(mistaken) AS retracted
FROM
(
    SELECT
        customer_segment AS segment,
        0 AS known,
        uniqExactIf(customer_key, kind = 'pain' AND status != 'retracted') AS hurt,
        countIf(kind = 'pain' AND status != 'retracted') AS pained,
        countIf(kind = 'pain' AND status = 'open') AS opened,
        countIf(kind = 'pain' AND status = 'resolved') AS mended,
        countIf(kind = 'glory' AND status != 'retracted') AS gloried,
        countIf(status = 'retracted') AS mistaken,
        4294967295 AS position
    FROM filtered_moments(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
    GROUP BY customer_segment
    UNION ALL
    SELECT segment, count(), 0, 0, 0, 0, 0, 0, 4294967295
    FROM journeys AS first
    WHERE journey_number = 1
        AND started_at < {until:DateTime64(6, 'UTC')}
        AND (
            {segment:String} = ''
            OR first.segment = if({segment:String} = '(none)', '', {segment:String})
        )
    GROUP BY segment
    UNION ALL
    SELECT segment, 0, 0, 0, 0, 0, 0, 0, position FROM segments
)
GROUP BY segment
ORDER BY min(position), segment
