"""The oracle against examples of what goes over moments: strikes and rules over other rules.

Times are minutes; ``e`` makes an event at touchpoint ``a`` to ``f``.
"""

from __future__ import annotations

from schemas.moment import moment_id
from tests.moment_found import OracleMoment, Seen
from tests.unit.moment_examples import BOTH, LATER, SINGLE, at, e, moments, rule

# three strikes

STRIKES = '[strikes]\nthreshold = 2\nwindow = "2h"\n' + rule(
    "single",
    'when.touchpoint = "a"\nresolved_by.touchpoint = "b"\nretracted_by.touchpoint = "c"',
)


def struck(*events: Seen, watermark: float = LATER) -> list[OracleMoment]:
    got = moments(STRIKES, *events, watermark=watermark)
    return [each for each in got if each.rule == "three_strikes"]


def pain(cause: str) -> str:
    return str(moment_id("r", "k", "", cause))


def test_strikes_at_the_pain_that_reaches_the_threshold():
    (got,) = struck(e("a", 0), e("a", 30), e("a", 40), watermark=60)
    assert got == OracleMoment(
        moment_id("three_strikes", "k", "", pain("a30")),
        "three_strikes",
        "pain",
        "open",
        "k",
        "",
        pain("a30"),
        (pain("a0"), pain("a30")),
        at(30),
        at(30),
    )


def test_strikes_in_a_rolling_window():
    assert struck(e("a", 0), e("a", 120)) == []
    (got,) = struck(e("a", 0), e("a", 119))
    assert (got.status, got.closed_at, got.closed_by) == ("resolved", at(120), "")
    (got,) = struck(e("a", 0), e("a", 119), watermark=120)
    assert got.status == "open"
    assert struck(e("a", 0), e("a", 120), watermark=0) == []
    (got,) = struck(e("a", 0), e("a", 119), e("a", 130), watermark=0)
    assert (got.status, got.occurred_at) == ("open", at(119))


def test_strikes_end_when_a_pain_is_resolved():
    (got,) = struck(e("a", 0), e("a", 10), e("b", 20))
    assert (got.status, got.closed_at, got.closed_by) == ("resolved", at(20), "b20")
    assert struck(e("a", 0), e("b", 5), e("a", 10)) == []


def test_a_pain_resolved_when_it_would_leave_the_window_ends_by_the_event():
    (got,) = struck(e("a", 0), e("a", 10), e("b", 120))
    assert (got.status, got.closed_at, got.closed_by) == ("resolved", at(120), "b120")


def test_retracted_pains_are_left_out():
    assert struck(e("a", 0), e("a", 10), e("c", 20)) == []


def test_strikes_at_one_instant_ends_come_first():
    one, two = struck(e("a", 0), e("a", 10), e("a", 120))
    assert (one.status, one.closed_at, two.occurred_at) == ("resolved", at(120), at(120))
    assert two.evidence == (pain("a10"), pain("a120"))


def test_strikes_are_caused_by_the_pain_with_the_largest_id():
    (got,) = struck(e("a", 5, "1"), e("a", 5, "2"), e("a", 5, "3"))
    ids = sorted(pain(name) for name in "123")
    assert got.cause == ids[-1]
    assert got.evidence == tuple(ids)


# rules over moments

OVER = SINGLE + rule(
    "sequence",
    'first.moment = { kind = "pain", status = "resolved" }\nthen.touchpoint = "d"\nwithin = "1h"',
    "good",
    glory=True,
)


def test_a_rule_over_moments_that_were_resolved():
    got = moments(OVER, e("a", 0), e("b", 10), e("d", 70))
    assert [(each.rule, each.evidence) for each in got[1:]] == [("good", (pain("a0"), "d70"))]
    assert len(moments(OVER, e("a", 0), e("b", 10), e("d", 70.001))) == 1
    assert len(moments(OVER, e("a", 0), e("d", 5))) == 1


def test_a_rule_over_moments_counts_them_when_they_occurred_and_not_the_retracted():
    text = BOTH + rule("count", 'when.moment = { rule = "r" }\ncount = 2\nwithin = "1h"', "twice")
    got = [each for each in moments(text, e("a", 0), e("b", 1), e("a", 60)) if each.rule != "r"]
    assert [(each.cause, each.evidence) for each in got] == [
        (pain("a60"), (pain("a0"), pain("a60")))
    ]
    assert got[0].moment_id == moment_id("twice", "k", "", pain("a60"))
    spoilt = [e("a", 0), e("unknown", 1, channel="phone"), e("a", 60)]
    assert {each.rule for each in moments(text, *spoilt)} == {"r"}


def test_at_one_instant_events_come_first_then_what_was_resolved_then_what_began():
    def rules(first: str, then: str) -> str:
        text = f'first = {{ {first} }}\nthen = {{ {then} }}\nwithin = "1h"'
        one = rule("single", 'when.touchpoint = "c"', "other")
        return SINGLE + one + rule("sequence", text, "over", glory=True)

    def over(first: str, then: str) -> int:
        events = [e("a", 0), e("b", 9, "1"), e("c", 9, "2")]
        return [each.rule for each in moments(rules(first, then), *events)].count("over")

    event, began = 'touchpoint = "c"', 'moment = { rule = "other" }'
    resolved = 'moment = { status = "resolved" }'
    assert (over(event, resolved), over(resolved, event)) == (1, 0)
    assert (over(event, began), over(began, event)) == (1, 0)
    assert (over(resolved, began), over(began, resolved)) == (1, 0)


def test_an_absence_after_a_moment():
    text = SINGLE + rule(
        "absence",
        'after.moment = { rule = "r" }\nuntil.moment = { rule = "r", status = "resolved" }\n'
        'within = "20m"',
        "left",
    )
    assert [each.rule for each in moments(text, e("a", 0), e("b", 20))] == ["r"]
    (_, got) = moments(text, e("a", 0), e("b", 21))
    assert (got.cause, got.occurred_at, got.status) == (pain("a0"), at(20), "resolved")
    assert got.closed_by == pain("a0")
