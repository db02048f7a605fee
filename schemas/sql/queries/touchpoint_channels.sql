-- Touchpoint by channel
-- Which touchpoint is met on which channel. Every touchpoint with every channel, unused ones as 0,
-- one row a pair; as a table the channels are columns. Touchpoints and channels of the current
-- catalog come first, in its order, then others that occur, such as `unclassified`.
--
-- filters steps
--
-- column touchpoint text: touchpoint
-- column owner text: who answers for it, empty where the current catalog does not have it
-- column channel text: channel
-- column interactions count: interactions, each event once
-- column customers count: distinct customers
-- column share share: of the touchpoint's interactions on any channel, 0 where there are none
--
-- pivot touchpoint channel with totals: interactions
WITH
    (
        SELECT groupArray((touchpoint, channel, interactions, customers))
        FROM
        (
            SELECT
                touchpoint, channel, count() AS interactions, uniqExact(customer_hash) AS customers
            FROM filtered_steps(
                since = {since:DateTime64(6, 'UTC')},
                until = {until:DateTime64(6, 'UTC')},
                segment = {segment:String},
                channel = {channel:String},
                stage = {stage:String},
                touchpoint = {touchpoint:String},
                outcome = {outcome:String}
            )
            GROUP BY touchpoint, channel
        )
    ) AS cells,
    (SELECT groupArray((touchpoint, owner)) FROM (SELECT touchpoint, owner FROM touchpoints ORDER BY position)) AS known_touchpoints,
    (SELECT groupArray(channel) FROM (SELECT channel FROM channels ORDER BY position)) AS known_channels,
    arrayConcat(
        known_touchpoints.1,
        arraySort(arrayFilter(t -> NOT has(known_touchpoints.1, t), arrayDistinct(cells.1)))
    ) AS all_touchpoints,
    arrayConcat(
        known_channels,
        arraySort(arrayFilter(c -> NOT has(known_channels, c), arrayDistinct(cells.2)))
    ) AS all_channels
SELECT
    all_touchpoints[row] AS touchpoint,
    known_touchpoints[row].2 AS owner,
    all_channels[place] AS channel,
    cell.3 AS interactions,
    cell.4 AS customers,
    if(interactions = 0, 0, interactions / sum(interactions) OVER (PARTITION BY row)) AS share
FROM
(
    SELECT
        arrayJoin(arrayEnumerate(all_touchpoints)) AS row,
        arrayJoin(arrayEnumerate(all_channels)) AS place,
        arrayFirst(c -> c.1 = all_touchpoints[row] AND c.2 = all_channels[place], cells) AS cell
)
ORDER BY row, place
