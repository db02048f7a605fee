-- Moments by touchpoint
-- Where it hurts and where it shines: every touchpoint of the current catalog, in its order, then
-- others that occur. A moment belongs to the touchpoint of the event that caused it. What was
-- retracted is counted apart. Interactions are those that fit the filters themselves, in their own
-- time: a moment may occur later than the interaction that caused it.
--
-- filters moments
--
-- column touchpoint text: touchpoint
-- column owner text: who answers for it, empty where the current catalog does not have it
-- column interactions count: interactions, each event once
-- column pains count: moments of pain, resolved ones included
-- column open_pains count: those that nothing mended yet
-- column glories count: moments of glory
-- column retracted count: moments that turned out to be none
-- column customers_in_pain count: distinct customers with a moment of pain
-- column pains_per_hundred number: pains per hundred interactions; none without interactions
SELECT
    touchpoint,
    max(touchpoint_owner) AS owner,
    sum(met) AS interactions,
    sum(pained) AS pains,
    sum(opened) AS open_pains,
    sum(gloried) AS glories,
    sum(mistaken) AS retracted,
    sum(hurt) AS customers_in_pain,
    if(interactions = 0, NULL, 100 * pains / interactions) AS pains_per_hundred
FROM
(
    SELECT
        touchpoint,
        '' AS touchpoint_owner,
        0 AS met,
        countIf(kind = 'pain' AND status != 'retracted') AS pained,
        countIf(kind = 'pain' AND status = 'open') AS opened,
        countIf(kind = 'glory' AND status != 'retracted') AS gloried,
        countIf(status = 'retracted') AS mistaken,
        uniqExactIf(customer_key, kind = 'pain' AND status != 'retracted') AS hurt,
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
    GROUP BY touchpoint
    UNION ALL
    SELECT touchpoint, '', count(), 0, 0, 0, 0, 0, 4294967295
    FROM filtered_steps(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
    GROUP BY touchpoint
    UNION ALL
    SELECT touchpoint, owner, 0, 0, 0, 0, 0, 0, position FROM touchpoints
)
GROUP BY touchpoint
ORDER BY min(position), touchpoint
