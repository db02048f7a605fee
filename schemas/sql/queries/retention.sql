-- Retention
-- How many customers come back: customers who began in the same week or month are a cohort, and of
-- each it says how many were active in that period (0) and in those after it. A customer begins with
-- the first interaction that the filters let through, or with the first that reached
-- `start_outcome`, and is active in a period with an interaction that they let through, not before
-- the beginning. Who began before `since` is in no cohort, so that nobody counts as new who was not.
-- Periods are those of UTC, weeks begin on Monday; the last one with an interaction may not be over.
--
-- filters steps
-- param period Enum('week', 'month') = month: length of the periods
-- param start_outcome String = : begin with the first interaction that reached this outcome; empty begins with the first of all
-- param active Enum('any', 'inbound') = any: interactions that make a customer active: any, or only those that came from the customer
-- param periods UInt16 = 12: periods after the first to show; 0 shows all
--
-- column cohort text: month as 2026-01, or the Monday that the week began with
-- column period number: weeks or months since the cohort's, from 0
-- column customers count: customers of the cohort
-- column active count: those of them that were active in the period
-- column share share: of the cohort's customers
--
-- pivot cohort period: active share
WITH
    -- a period as a number: four days after 1970-01-01 was a Monday
    moment -> if(
        {period:Enum('week', 'month')} = 'month',
        toRelativeMonthNum(moment),
        intDiv(toRelativeDayNum(moment) + 3, 7)
    ) AS period_of,
    histories AS
    (
        SELECT
            groupArray((occurred_at, is_active)) AS history,
            minIf(occurred_at, is_start) AS began,
            countIf(is_start) > 0 AND began >= {since:DateTime64(6, 'UTC')} AS counts,
            max(occurred_at) AS latest
        FROM
        (
            SELECT
                cityHash64(customer_key) AS customer,
                occurred_at,
                {active:Enum('any', 'inbound')} = 'any' OR direction = 'inbound' AS is_active,
                {start_outcome:String} = '' OR steps.outcome = {start_outcome:String} AS is_start
            FROM filtered_steps(
                since = '1970-01-01',
                until = {until:DateTime64(6, 'UTC')},
                segment = {segment:String},
                channel = {channel:String},
                stage = {stage:String},
                touchpoint = {touchpoint:String},
                outcome = {outcome:String}
            ) AS steps
        )
        GROUP BY customer
    ),
    cohorts AS
    (
        SELECT
            counts,
            period_of(began) AS first_period,
            if(
                {period:Enum('week', 'month')} = 'month',
                formatDateTime(any(began), '%Y-%m'),
                toString(toMonday(any(began)))
            ) AS name,
            count() AS size,
            period_of(max(max(latest)) OVER ()) AS last_period,
            sumMap(
                arrayDistinct(
                    arrayMap(
                        met -> period_of(met.1),
                        arrayFilter(met -> met.2 AND met.1 >= began, history)
                    )
                ) AS active_in,
                arrayMap(_ -> 1, active_in)
            ) AS times
        FROM histories
        GROUP BY counts, first_period
    )
SELECT
    name AS cohort,
    arrayJoin(range(if({periods:UInt16} = 0, later, least(later, {periods:UInt16})) + 1)) AS period,
    size AS customers,
    times.2[indexOf(times.1, first_period + period)] AS active,
    active / customers AS share
FROM (SELECT *, last_period - first_period AS later FROM cohorts WHERE counts)
ORDER BY cohort, period
