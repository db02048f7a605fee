-- Channel preference
-- On which channel customers of each segment come with each need, when they come by themselves: what is
-- known to be outbound does not count, what is inbound or of unknown direction does. Every need of the
-- current catalog with each of its segments, in its order, then others that occur; nothing is
-- preferred where nobody came. Of two channels with as many interactions the one with more customers
-- is preferred, then the one that comes first in the catalog, then by name.
--
-- filters steps
--
-- column need text: what the customer wanted
-- column segment text: segment of the customers: the latest delivered, or empty
-- column preferred text: channel with most interactions that count, empty where there are none
-- column preferred_share share: of the interactions that count, 0 where there are none
-- column preferred_interactions count: interactions on it
-- column second text: channel with second most, empty where there is no other
-- column second_share share: of the interactions that count, 0 where there are none
-- column second_interactions count: interactions on it
-- column interactions count: interactions that count, on any channel
-- column customers count: distinct customers with them
-- column unknown count: those of the interactions whose direction is not known
-- column channels count: channels that were used
-- column preferred_customers count: distinct customers on it
-- column second_customers count: distinct customers on it
WITH
    (SELECT groupArray(channel) FROM (SELECT channel FROM channels ORDER BY position)) AS known_channels,
    (
        SELECT groupArray((need, segment, interactions, customers, unknown, ranked))
        FROM
        (
            SELECT
                need,
                segment,
                sum(times) AS interactions,
                uniqExactMerge(known) AS customers,
                sum(undirected) AS unknown,
                arraySort(
                    used -> (
                        -used.2,
                        -used.3,
                        if(has(known_channels, used.1), indexOf(known_channels, used.1), 4294967295),
                        used.1
                    ),
                    groupArray((toString(channel), toInt64(times), toInt64(came)))
                ) AS ranked
            FROM
            (
                SELECT
                    need,
                    segment,
                    channel,
                    count() AS times,
                    countIf(direction = '') AS undirected,
                    uniqExactState(cityHash64(customer_key)) AS known,
                    finalizeAggregation(known) AS came
                FROM filtered_steps(
                    since = {since:DateTime64(6, 'UTC')},
                    until = {until:DateTime64(6, 'UTC')},
                    segment = {segment:String},
                    channel = {channel:String},
                    stage = {stage:String},
                    touchpoint = {touchpoint:String},
                    outcome = {outcome:String}
                )
                WHERE direction != 'outbound'
                GROUP BY need, segment, channel
            )
            GROUP BY need, segment
        )
    ) AS cells,
    (SELECT groupArray(need) FROM (SELECT need FROM needs ORDER BY position)) AS known_needs,
    (SELECT groupArray(segment) FROM (SELECT segment FROM segments ORDER BY position)) AS known_segments,
    arrayConcat(
        known_needs, arraySort(arrayFilter(n -> NOT has(known_needs, n), arrayDistinct(cells.1)))
    ) AS all_needs,
    arrayConcat(
        known_segments,
        arraySort(arrayFilter(s -> NOT has(known_segments, s), arrayDistinct(cells.2)))
    ) AS all_segments
SELECT
    all_needs[row] AS need,
    all_segments[place] AS segment,
    cell.6[1].1 AS preferred,
    if(interactions = 0, 0, preferred_interactions / interactions) AS preferred_share,
    toUInt64(cell.6[1].2) AS preferred_interactions,
    cell.6[2].1 AS second,
    if(interactions = 0, 0, second_interactions / interactions) AS second_share,
    toUInt64(cell.6[2].2) AS second_interactions,
    cell.3 AS interactions,
    cell.4 AS customers,
    cell.5 AS unknown,
    length(cell.6) AS channels,
    toUInt64(cell.6[1].3) AS preferred_customers,
    toUInt64(cell.6[2].3) AS second_customers
FROM
(
    SELECT
        arrayJoin(arrayEnumerate(all_needs)) AS row,
        arrayJoin(arrayEnumerate(all_segments)) AS place,
        arrayFirst(c -> c.1 = all_needs[row] AND c.2 = all_segments[place], cells) AS cell
)
ORDER BY row, place
