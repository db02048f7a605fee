-- Stage distribution
-- How interactions spread over the lifecycle, against the weights the business gave the stages.
-- Stages of the current catalog in its order, then others that occur, which have weight 0.
--
-- filters steps
--
-- column stage text: lifecycle stage, or unclassified
-- column interactions count: interactions, each event once
-- column customers count: distinct customers
-- column share share: of all interactions
-- column weight share: what the business wants the share to be
-- column difference difference: share minus weight; above 0 is more than wanted
WITH seen AS
(
    SELECT stage, count() AS interactions, uniqExact(customer_hash) AS customers
    FROM filtered_steps(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
    GROUP BY stage
)
SELECT
    stage,
    sum(interactions) AS interactions,
    sum(customers) AS customers,
    if(sum(interactions) OVER () = 0, 0, interactions / sum(interactions) OVER ()) AS share,
    max(weight) AS weight,
    share - weight AS difference
FROM
(
    SELECT stage, interactions, customers, 0 AS weight, 4294967295 AS position FROM seen
    UNION ALL
    SELECT stage, 0, 0, weight, position FROM stages
)
GROUP BY stage
ORDER BY min(position), stage
