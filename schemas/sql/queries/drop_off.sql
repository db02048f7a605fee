-- Drop-off
-- Where journeys end, by touchpoint or by lifecycle stage: how many met it, how many ended there, and
-- how many of these ended without any outcome. Every journey ends at exactly one, so `ended` adds up
-- to the number of journeys, and `dropped` to those without an outcome. Looks at whole journeys that
-- began in the time asked for; of a customer who is still under way it is where that journey stands.
--
-- filters journeys
-- param by Enum('touchpoint', 'stage') = touchpoint: what is counted
--
-- column name text: touchpoint or lifecycle stage
-- column journeys count: journeys that met it
-- column ended count: journeys whose last interaction was there
-- column dropped count: journeys that ended there without any outcome
-- column customers count: distinct customers of the journeys that ended there without any outcome
-- column end_share share: ended, of the journeys that met it
-- column drop_share share: dropped, of the journeys that met it
-- column share_of_drops share: of all journeys that ended without any outcome
SELECT
    name,
    count() AS journeys,
    countIf(is_end) AS ended,
    countIf(is_end AND lost) AS dropped,
    uniqExactIf(customer, is_end AND lost) AS customers,
    ended / journeys AS end_share,
    dropped / journeys AS drop_share,
    if(sum(dropped) OVER () = 0, 0, dropped / sum(dropped) OVER ()) AS share_of_drops
FROM
(
    SELECT
        cityHash64(customer_key) AS customer,
        outcome = '' AS lost,
        if({by:Enum('touchpoint', 'stage')} = 'touchpoint', path, step_stages) AS met,
        met[-1] AS last_met,
        arrayDistinct(met) AS names,
        arrayMap(name -> name = last_met, names) AS ends
    FROM filtered_journeys(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
)
ARRAY JOIN names AS name, ends AS is_end
GROUP BY name
ORDER BY dropped DESC, ended DESC, journeys DESC, name
