-- Journey variants
-- The whole paths that journeys take, from the first interaction to the last, as in process mining:
-- journeys with the same touchpoints in the same order are one variant. What is not among the `top`
-- variants is added up in the row `(other)`, so that journeys and shares always add up to all
-- journeys. Looks at whole journeys that began in the time asked for.
--
-- filters journeys
-- param top UInt32 = 20: variants to show; 0 shows all
-- param collapse_repeats Bool = false: whether consecutive repeats of a touchpoint are one step
--
-- column path text: touchpoints in order
-- column variants count: variants in this row: 1, or more in (other)
-- column steps number: steps of the path; none in (other)
-- column journeys count: journeys that took it
-- column customers count: distinct customers
-- column share share: of all journeys
-- column cumulative_share share: of all journeys, this row and those above it
-- column median_duration_seconds seconds: median time from a journey's first interaction to its last
-- column outcome_share share: journeys with an outcome, of the journeys that took it
--
-- limit top
WITH
    taken AS
    (
        SELECT
            if({collapse_repeats:Bool}, path_collapsed, path) AS walk,
            count() AS journeys,
            uniqExactState(cityHash64(customer_key)) AS customers,
            quantileExactInclusiveState(0.5)(duration_seconds) AS median,
            countIf(outcome != '') AS successes
        FROM filtered_journeys(
            since = {since:DateTime64(6, 'UTC')},
            until = {until:DateTime64(6, 'UTC')},
            segment = {segment:String},
            channel = {channel:String},
            stage = {stage:String},
            touchpoint = {touchpoint:String},
            outcome = {outcome:String}
        )
        GROUP BY walk
    ),
    ranked AS
    (
        SELECT
            *,
            arrayStringConcat(walk, ' > ') AS route,
            row_number() OVER (ORDER BY journeys DESC, route) AS place
        FROM taken
    )
SELECT
    if({top:UInt32} = 0 OR place <= {top:UInt32}, route, '(other)') AS path,
    count() AS variants,
    if({top:UInt32} = 0 OR min(place) <= {top:UInt32}, any(length(walk)), NULL) AS steps,
    sum(journeys) AS journeys,
    uniqExactMerge(customers) AS customers,
    journeys / sum(journeys) OVER () AS share,
    sum(journeys) OVER (ORDER BY min(place)) / sum(journeys) OVER () AS cumulative_share,
    quantileExactInclusiveMerge(0.5)(median) AS median_duration_seconds,
    sum(successes) / journeys AS outcome_share
FROM ranked
GROUP BY path
ORDER BY min(place)
