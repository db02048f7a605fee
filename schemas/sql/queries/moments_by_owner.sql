-- Moments by owner
-- Who has how much to mend: everybody who is told of moments or answers for a touchpoint by the
-- current catalog, and others who were told, most open pains first. What was retracted is counted
-- apart.
--
-- filters moments
--
-- column owner text: who is told
-- column pains count: moments of pain, resolved ones included
-- column open_pains count: those that nothing mended yet
-- column resolved_pains count: those that were mended
-- column glories count: moments of glory
-- column retracted count: moments that turned out to be none
-- column customers_in_pain count: distinct customers with a moment of pain
-- column median_seconds_to_resolve seconds: median time from a pain to what mended it
-- column p90_seconds_to_resolve seconds: 90th percentile of that time
-- column median_delay_seconds seconds: median time from a moment to when it was found
SELECT
    owner,
    sum(pained) AS pains,
    sum(opened) AS open_pains,
    sum(mended) AS resolved_pains,
    sum(gloried) AS glories,
    sum(mistaken) AS retracted,
    sum(hurt) AS customers_in_pain,
    max(median_resolve) AS median_seconds_to_resolve,
    max(p90_resolve) AS p90_seconds_to_resolve,
    max(median_delay) AS median_delay_seconds
FROM
(
    SELECT
        owner,
        countIf(kind = 'pain' AND status != 'retracted') AS pained,
        countIf(kind = 'pain' AND status = 'open') AS opened,
        countIf(kind = 'pain' AND status = 'resolved') AS mended,
        countIf(kind = 'glory' AND status != 'retracted') AS gloried,
        countIf(status = 'retracted') AS mistaken,
        uniqExactIf(customer_key, kind = 'pain' AND status != 'retracted') AS hurt,
        quantileExactInclusiveOrNull(0.5)(
            if(kind = 'pain' AND status = 'resolved', closed_after_seconds, NULL)
        ) AS median_resolve,
        quantileExactInclusiveOrNull(0.9)(
            if(kind = 'pain' AND status = 'resolved', closed_after_seconds, NULL)
        ) AS p90_resolve,
        quantileExactInclusiveOrNull(0.5)(
            if(status = 'retracted', NULL, delay_seconds)
        ) AS median_delay
    FROM filtered_moments(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
    GROUP BY owner
    UNION ALL
    SELECT owner, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL
    FROM (SELECT owner FROM rules WHERE owner != '' UNION DISTINCT SELECT owner FROM touchpoints)
)
GROUP BY owner
ORDER BY open_pains DESC, pains DESC, owner
