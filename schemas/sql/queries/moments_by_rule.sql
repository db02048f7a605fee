-- Moments by rule
-- What each rule found: every rule of the current catalog, in its order, also one that found nothing,
-- then others that found something before. Moments stand while they are open or resolved; those that
-- were retracted are counted apart, and those that were withdrawn nowhere.
--
-- filters moments
--
-- column rule text: rule
-- column kind text: pain or glory
-- column severity text: how bad or how good, by the current catalog; empty where it does not have the rule
-- column moments count: moments that stand
-- column open count: those that nothing mended yet
-- column resolved count: those that were mended
-- column retracted count: moments that turned out to be none
-- column customers count: distinct customers with a moment that stands
-- column median_seconds_to_resolve seconds: median time from the moment to what mended it
-- column p90_seconds_to_resolve seconds: 90th percentile of that time
-- column median_delay_seconds seconds: median time from the moment to when it was found
WITH found AS
(
    SELECT
        rule,
        kind,
        countIf(status != 'retracted') AS moments,
        countIf(status = 'open') AS open,
        countIf(status = 'resolved') AS resolved,
        countIf(status = 'retracted') AS retracted,
        uniqExactIf(customer_key, status != 'retracted') AS customers,
        quantileExactInclusiveOrNull(0.5)(
            if(status = 'resolved', closed_after_seconds, NULL)
        ) AS median_seconds_to_resolve,
        quantileExactInclusiveOrNull(0.9)(
            if(status = 'resolved', closed_after_seconds, NULL)
        ) AS p90_seconds_to_resolve,
        quantileExactInclusiveOrNull(0.5)(
            if(status = 'retracted', NULL, delay_seconds)
        ) AS median_delay_seconds
    FROM filtered_moments(
        since = {since:DateTime64(6, 'UTC')},
        until = {until:DateTime64(6, 'UTC')},
        segment = {segment:String},
        channel = {channel:String},
        stage = {stage:String},
        touchpoint = {touchpoint:String},
        outcome = {outcome:String}
    )
    GROUP BY rule, kind
)
SELECT
    rule,
    kind,
    max(severity) AS severity,
    sum(moments) AS moments,
    sum(open) AS open,
    sum(resolved) AS resolved,
    sum(retracted) AS retracted,
    sum(customers) AS customers,
    max(median_seconds_to_resolve) AS median_seconds_to_resolve,
    max(p90_seconds_to_resolve) AS p90_seconds_to_resolve,
    max(median_delay_seconds) AS median_delay_seconds
FROM
(
    SELECT *, '' AS severity, 4294967295 AS position FROM found
    UNION ALL
    SELECT rule, kind, 0, 0, 0, 0, 0, NULL, NULL, NULL, severity, position FROM rules
)
GROUP BY rule, kind
ORDER BY min(position), rule, kind
