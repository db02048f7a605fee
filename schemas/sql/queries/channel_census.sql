-- Channel census
-- What customers want, and on which channel they bring it: every need with every channel, unused ones
-- as 0, one row a pair; as a table the channels are columns. Needs and channels of the current catalog
-- come first, in its order, then others that occur; interactions without a need are in the empty one.
-- A need with channels_used 0 is served nowhere, one with 1 hangs on one channel. The warehouse does
-- not know on which channels a touchpoint is meant to occur, only on which it was met: so
-- touchpoints_here is derived from use, and a channel that nobody uses can serve nothing.
--
-- filters steps
--
-- column need text: what the customer wanted
-- column channel text: channel
-- column interactions count: interactions with that need on that channel, each event once
-- column customers count: distinct customers
-- column share share: of the need's interactions on any channel, 0 where there are none
-- column channels_used count: channels on which the need occurs at all: 0 is a gap, 1 a risk
-- column touchpoints count: touchpoints of the current catalog that serve the need, on any channel
-- column touchpoints_here count: those of them that were met on this channel, with whatever need
--
-- pivot need channel with totals: interactions
WITH
    (
        SELECT groupArray((need, channel, interactions, customers, met))
        FROM
        (
            SELECT
                need,
                channel,
                count() AS interactions,
                uniqExact(cityHash64(customer_key)) AS customers,
                groupUniqArray(touchpoint) AS met
            FROM filtered_steps(
                since = {since:DateTime64(6, 'UTC')},
                until = {until:DateTime64(6, 'UTC')},
                segment = {segment:String},
                channel = {channel:String},
                stage = {stage:String},
                touchpoint = {touchpoint:String},
                outcome = {outcome:String}
            )
            GROUP BY need, channel
        )
    ) AS cells,
    (SELECT groupArray((touchpoint, needs)) FROM touchpoints) AS serving,
    (SELECT groupArray(need) FROM (SELECT need FROM needs ORDER BY position)) AS known_needs,
    (SELECT groupArray(channel) FROM (SELECT channel FROM channels ORDER BY position)) AS known_channels,
    arrayConcat(
        known_needs, arraySort(arrayFilter(n -> NOT has(known_needs, n), arrayDistinct(cells.1)))
    ) AS all_needs,
    arrayConcat(
        known_channels,
        arraySort(arrayFilter(c -> NOT has(known_channels, c), arrayDistinct(cells.2)))
    ) AS all_channels
SELECT
    all_needs[row] AS need,
    all_channels[place] AS channel,
    cell.3 AS interactions,
    cell.4 AS customers,
    if(interactions = 0, 0, interactions / sum(interactions) OVER (PARTITION BY row)) AS share,
    countEqual(cells.1, need) AS channels_used,
    length(able) AS touchpoints,
    length(arrayIntersect(able, met_here)) AS touchpoints_here
FROM
(
    SELECT
        arrayJoin(arrayEnumerate(all_needs)) AS row,
        arrayJoin(arrayEnumerate(all_channels)) AS place,
        arrayFirst(c -> c.1 = all_needs[row] AND c.2 = all_channels[place], cells) AS cell,
        arrayMap(s -> s.1, arrayFilter(s -> has(s.2, all_needs[row]), serving)) AS able,
        arrayFlatten(arrayMap(c -> c.5, arrayFilter(c -> c.2 = all_channels[place], cells))) AS met_here
)
ORDER BY row, place
