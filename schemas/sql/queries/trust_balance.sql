-- Trust balance
-- Glory against pain by segment: glories minus pains, each pain weighing as many glories as the
-- current catalog says (12, if it says nothing). Retracted moments do not count, resolved pains do.
-- Every segment of the current catalog, in its order, then others that were delivered. Channel,
-- stage, touchpoint and outcome choose the moments that count, not the customers.
--
-- filters moments
--
-- column segment text: segment of the customers: the latest delivered
-- column customers count: customers known before `until`
-- column below_zero count: those of them whose own balance is below 0
-- column glories count: moments of glory
-- column pains count: moments of pain, resolved ones included
-- column balance number: glories minus the weighed pains
-- column ratio number: glories by the weighed pains; none without a pain
SELECT
    segment,
    sum(known) AS customers,
    sum(below) AS below_zero,
    sum(gloried) AS glories,
    sum(pained) AS pains,
    sum(balanced) AS balance,
    if(pains = 0, NULL, glories / (glories - balance)) AS ratio
FROM
(
    SELECT
        segment, count() AS known, countIf(balance < 0) AS below, sum(glories) AS gloried,
        sum(pains) AS pained, sum(balance) AS balanced, 4294967295 AS position
    FROM filtered_trust(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
    GROUP BY segment
    UNION ALL
    SELECT segment, 0, 0, 0, 0, 0, position FROM segments
)
GROUP BY segment
ORDER BY min(position), segment
