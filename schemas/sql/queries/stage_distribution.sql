-- Stage distribution
-- How interactions spread over the lifecycle, against the weights the business gave the stages.
-- Stages of the current catalog in its order, then others that occur, which have weight 0.
--
-- param since DateTime64(6, 'UTC') = 1970-01-01: count interactions that happened at or after this
-- param until DateTime64(6, 'UTC') = 2100-01-01: count interactions that happened before this
--
-- column stage text: lifecycle stage, or unclassified
-- column interactions count: interactions, each event once
-- column customers count: distinct customers
-- column share share: of all interactions
-- column weight share: what the business wants the share to be
-- column difference difference: share minus weight; above 0 is more than wanted
WITH seen AS
(
    SELECT stage, count() AS interactions, uniqExact(customer_key) AS customers
    FROM interactions
    WHERE occurred_at >= {since:DateTime64(6, 'UTC')}
        AND occurred_at < {until:DateTime64(6, 'UTC')}
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
