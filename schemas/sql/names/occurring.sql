-- What can be named in a question although the current catalog does not have it: segments that
-- producers delivered, and what stored rows have from earlier catalogs. Base tables without FINAL: that
-- a name was ever there is enough, and each of these columns is small. A kind that is not asked for is
-- gone from the plan, because what decides that is constant.
SELECT DISTINCT kind, name
FROM
(
    SELECT DISTINCT 'segment' AS kind, toString(segment) AS name
    FROM interaction_records WHERE has({kinds:Array(String)}, 'segment')
    UNION ALL
    SELECT DISTINCT 'channel', toString(channel)
    FROM interaction_records WHERE has({kinds:Array(String)}, 'channel')
    UNION ALL
    SELECT DISTINCT 'touchpoint', toString(touchpoint)
    FROM interaction_records WHERE has({kinds:Array(String)}, 'touchpoint')
    UNION ALL
    SELECT DISTINCT 'stage', toString(stage)
    FROM step_records WHERE has({kinds:Array(String)}, 'stage')
    UNION ALL
    SELECT DISTINCT 'outcome', toString(outcome)
    FROM step_records WHERE has({kinds:Array(String)}, 'outcome')
    UNION ALL
    SELECT DISTINCT 'rule', toString(rule)
    FROM moment_records WHERE has({kinds:Array(String)}, 'rule')
    UNION ALL
    SELECT DISTINCT 'owner', toString(owner)
    FROM moment_records WHERE has({kinds:Array(String)}, 'owner')
)
WHERE name != ''
ORDER BY kind, name
