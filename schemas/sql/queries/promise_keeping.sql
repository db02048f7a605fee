-- Promise keeping
-- What became of what was promised, by promise and segment of the customers. Every promise of the
-- current catalog with every segment, in its order, then others that occur; where nothing was
-- promised the row is 0.
--
-- filters promises
--
-- column promise text: promise
-- column segment text: segment of the customers: the latest delivered
-- column made count: promises made
-- column pending count: those not due yet
-- column kept count: those kept in time
-- column kept_late count: those kept after they were broken
-- column broken count: those broken and not kept since
-- column cancelled count: those that ended without being kept or broken
-- column share_kept share: kept in time, of those kept, kept late or broken; none where there are none
-- column median_seconds_to_answer seconds: median time from making to keeping, in time or late
-- column p90_seconds_to_answer seconds: 90th percentile of that time
SELECT
    promise,
    segment,
    sum(promises_made) AS made,
    sum(waiting) AS pending,
    sum(in_time) AS kept,
    sum(late) AS kept_late,
    sum(failed) AS broken,
    sum(ended) AS cancelled,
    if(kept + kept_late + broken = 0, NULL, kept / (kept + kept_late + broken)) AS share_kept,
    max(median_answer) AS median_seconds_to_answer,
    max(p90_answer) AS p90_seconds_to_answer
FROM
(
    SELECT
        promise,
        customer_segment AS segment,
        count() AS promises_made,
        countIf(status = 'pending') AS waiting,
        countIf(status = 'kept') AS in_time,
        countIf(status = 'kept_late') AS late,
        countIf(status = 'broken') AS failed,
        countIf(status = 'cancelled') AS ended,
        quantileExactInclusiveOrNull(0.5)(
            if(status IN ('kept', 'kept_late'), answer_seconds, NULL)
        ) AS median_answer,
        quantileExactInclusiveOrNull(0.9)(
            if(status IN ('kept', 'kept_late'), answer_seconds, NULL)
        ) AS p90_answer,
        4294967295 AS place,
        4294967295 AS position
    FROM filtered_promises(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
    GROUP BY promise, customer_segment
    UNION ALL
    SELECT promise, segment, 0, 0, 0, 0, 0, 0, NULL, NULL, place, position
    FROM (SELECT promise, position AS place FROM promise_terms) AS terms
    CROSS JOIN
    (
        SELECT segment, position FROM segments
        UNION ALL
        SELECT '', 4294967295
    ) AS groups
)
GROUP BY promise, segment
ORDER BY min(min(place)) OVER (PARTITION BY promise), promise, min(min(position)) OVER (PARTITION BY segment), segment
