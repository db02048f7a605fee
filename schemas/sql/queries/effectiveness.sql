-- Effectiveness
-- Which touchpoints go with reaching the next lifecycle stage. Of the journeys that were at a stage,
-- those that met the touchpoint at that stage are set against those that were at the stage and did not
-- meet it there. A journey that met it goes on when an interaction after the first meeting is at a
-- later stage; one that did not, when an interaction after its first at the stage is. Stages are those
-- of the current catalog, in its order; the last has no later one and is left out, as is what is
-- unclassified. The interval is Newcombe's hybrid score interval for the difference of two proportions
-- (Statistics in Medicine 17, 1998, method 10). This is association, not cause: customers choose what
-- they meet, and who was going to buy meets the checkout. To learn what a touchpoint causes, withhold
-- it from some at random.
--
-- filters journeys
-- param least UInt32 = 1: journeys with, and journeys without the touchpoint at the stage, that a row needs at least; 0 shows all
--
-- column stage text: lifecycle stage
-- column touchpoint text: touchpoint, or unclassified
-- column verdict text: more or fewer go on with it where the interval does not hold 0, else unclear
-- column lift number: share_with by share_without; none where that is 0
-- column difference difference: share_with minus share_without
-- column low difference: lower end of the 95 % interval of the difference
-- column high difference: upper end of the 95 % interval of the difference
-- column share_with share: of the journeys with it that went on; none where there are none
-- column share_without share: of the journeys without it that went on; none where there are none
-- column journeys_with count: journeys that met the touchpoint at the stage
-- column went_on_with count: those of them that reached a later stage afterwards
-- column journeys_without count: journeys that were at the stage and did not meet the touchpoint there
-- column went_on_without count: those of them that reached a later stage afterwards
-- column owner text: who answers for it, empty where the current catalog does not have it
WITH
    (SELECT groupArray(stage) FROM (SELECT stage FROM stages ORDER BY position)) AS known_stages,
    1.959963984540054 AS z,
    -- ends of Wilson's score interval for x of n
    (x, n) -> (x + z * z / 2 - z * sqrt(x * (n - x) / n + z * z / 4)) / (n + z * z) AS lowest,
    (x, n) -> (x + z * z / 2 + z * sqrt(x * (n - x) / n + z * z / 4)) / (n + z * z) AS highest,
    -- one row a journey, stage and touchpoint, for the first meeting of it there: whether a later
    -- stage followed that meeting, whether one followed the journey's first step at the stage, and
    -- whether the two are the same step
    met AS
    (
        SELECT
            arrayMap(stage -> toUInt32(indexOf(known_stages, stage)), step_stages) AS places,
            arrayJoin(
                arrayFilter(
                    meeting -> meeting.first_here AND meeting.place BETWEEN 1 AND length(known_stages) - 1,
                    arrayMap(
                        (step, place, touchpoint, time_here, time_at_stage) -> tuple(
                            place,
                            touchpoint,
                            arrayLastIndex(later -> later > place, places) > step,
                            arrayLastIndex(later -> later > place, places) > indexOf(places, place),
                            time_at_stage = 1,
                            time_here = 1
                        )::Tuple(place UInt32, touchpoint LowCardinality(String), on_from_here Bool, on_from_stage Bool, first_at_stage Bool, first_here Bool),
                        arrayEnumerate(path), places, path,
                        arrayEnumerateUniq(places, path), arrayEnumerateUniq(places)
                    )
                )
            ) AS meeting
        FROM filtered_journeys(
            since = {since:DateTime64(6, 'UTC')},
            until = {until:DateTime64(6, 'UTC')},
            segment = {segment:String},
            channel = {channel:String},
            stage = {stage:String},
            touchpoint = {touchpoint:String},
            outcome = {outcome:String}
        )
    ),
    counted AS
    (
        SELECT
            meeting.place AS place,
            meeting.touchpoint AS touchpoint,
            count() AS journeys_with,
            countIf(meeting.on_from_here) AS went_on_with,
            sum(countIf(meeting.first_at_stage)) OVER at_stage - journeys_with AS journeys_without,
            sum(countIf(meeting.first_at_stage AND meeting.on_from_stage)) OVER at_stage
                - countIf(meeting.on_from_stage) AS went_on_without
        FROM met
        GROUP BY place, touchpoint
        WINDOW at_stage AS (PARTITION BY place)
    )
SELECT
    known_stages[place] AS stage,
    counted.touchpoint AS touchpoint,
    multiIf(low > 0, 'more', high < 0, 'fewer', 'unclear') AS verdict,
    if(went_on_without = 0, NULL, share_with / share_without) AS lift,
    share_with - share_without AS difference,
    difference - sqrt(
        pow(share_with - lowest(went_on_with, journeys_with), 2)
        + pow(highest(went_on_without, journeys_without) - share_without, 2)
    ) AS low,
    difference + sqrt(
        pow(highest(went_on_with, journeys_with) - share_with, 2)
        + pow(share_without - lowest(went_on_without, journeys_without), 2)
    ) AS high,
    went_on_with / journeys_with AS share_with,
    if(journeys_without = 0, NULL, went_on_without / journeys_without) AS share_without,
    journeys_with,
    went_on_with,
    journeys_without,
    went_on_without,
    owner
FROM counted
LEFT JOIN (SELECT touchpoint, owner FROM touchpoints) AS owners
    ON owners.touchpoint = counted.touchpoint
WHERE journeys_with >= {least:UInt32} AND journeys_without >= {least:UInt32}
ORDER BY place, difference DESC NULLS LAST, touchpoint
