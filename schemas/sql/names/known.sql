-- What can be named in a question, by kind: what the current catalog has, in its order.
SELECT kind, name
FROM
(
    SELECT 'segment' AS kind, toString(segment) AS name, position FROM segments
    UNION ALL SELECT 'channel', toString(channel), position FROM channels
    UNION ALL SELECT 'stage', toString(stage), position FROM stages
    UNION ALL SELECT 'touchpoint', toString(touchpoint), position FROM touchpoints
    UNION ALL SELECT 'outcome', toString(outcome), min(position) FROM outcomes GROUP BY outcome
    UNION ALL SELECT 'rule', toString(rule), position FROM rules
    UNION ALL SELECT 'owner', toString(owner), min(position) FROM touchpoints GROUP BY owner
    UNION ALL SELECT 'owner', toString(owner), min(position) FROM rules GROUP BY owner
)
WHERE name != '' AND kind IN {kinds:Array(String)}
GROUP BY kind, name
ORDER BY kind, min(position), name
