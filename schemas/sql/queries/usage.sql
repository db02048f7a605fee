-- Usage
-- Which touchpoints are used more or less than the business wants. What is wanted of a touchpoint is the
-- weight that the business gave its lifecycle stage, shared out among the touchpoints of the stage by
-- their importance: weight × importance / sum of the importance. It is set against the touchpoint's
-- share of all interactions at touchpoints of the current catalog; what is unclassified or no longer
-- in the catalog does not count. A touchpoint belongs to its stage at face value, also where some of
-- its interactions were at another one, given what the customer did before. Filters choose the
-- interactions that count, not what is wanted. Every touchpoint of the current catalog, in its order.
--
-- filters steps
-- param over Float64 = 2: a ratio of this or more is over
-- param under Float64 = 0.5: a ratio of this or less is under
--
-- column touchpoint text: touchpoint
-- column stage text: its lifecycle stage at face value
-- column owner text: who answers for it
-- column importance number: 5 decides the relation, 1 hardly matters
-- column interactions count: interactions, each event once
-- column customers count: distinct customers
-- column share share: of all interactions at touchpoints of the catalog, 0 where there are none
-- column expected_share share: what the business wants the share to be
-- column ratio number: share by expected_share; none where nothing is expected
-- column verdict text: unused (no interaction), over, under or as wanted; over too where nothing is expected
WITH seen AS
(
    SELECT touchpoint, count() AS interactions, uniqExact(cityHash64(customer_key)) AS customers
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
)
SELECT
    wanted.touchpoint AS touchpoint,
    wanted.stage AS stage,
    wanted.owner AS owner,
    wanted.importance AS importance,
    seen.interactions AS interactions,
    seen.customers AS customers,
    if(
        sum(seen.interactions) OVER () = 0, 0, seen.interactions / sum(seen.interactions) OVER ()
    ) AS share,
    weight * wanted.importance / sum(wanted.importance) OVER (PARTITION BY wanted.stage) AS expected_share,
    if(expected_share = 0, NULL, share / expected_share) AS ratio,
    multiIf(
        interactions = 0, 'unused',
        expected_share = 0 OR ratio >= {over:Float64}, 'over',
        ratio <= {under:Float64}, 'under',
        'as wanted'
    ) AS verdict
FROM (SELECT position, touchpoint, stage, owner, importance FROM touchpoints) AS wanted
LEFT JOIN (SELECT stage, weight FROM stages) AS weighed ON weighed.stage = wanted.stage
LEFT JOIN seen ON seen.touchpoint = wanted.touchpoint
ORDER BY position
