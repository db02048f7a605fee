-- Trust by customer
-- Glory against pain of each customer who had either, the lowest balance first: glories minus pains,
-- each pain weighing as many glories as the current catalog says (12, if it says nothing). Retracted
-- moments do not count, resolved pains do. With a channel, stage, touchpoint or outcome it is the
-- balance of what happened there alone.
--
-- filters moments
--
-- column customer_key text: customer
-- column segment text: segment: the latest delivered, or empty
-- column balance number: glories minus the weighed pains
-- column glories count: moments of glory
-- column pains count: moments of pain, resolved ones included
-- column open_pains count: those that nothing mended yet
-- column ratio number: glories by the weighed pains; none without a pain
SELECT customer_key, segment, balance, glories, pains, open_pains, ratio
FROM filtered_trust(
    since = {since:DateTime64(6, 'UTC')},
    until = {until:DateTime64(6, 'UTC')},
    segment = {segment:String},
    channel = {channel:String},
    stage = {stage:String},
    touchpoint = {touchpoint:String},
    outcome = {outcome:String}
)
WHERE glories + pains > 0
ORDER BY balance, open_pains DESC, customer_key
