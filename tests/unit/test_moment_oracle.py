"""The oracle of moments against examples made by hand from ``docs/moments.md``: the basics.

Times are minutes; ``e`` makes an event at touchpoint ``a`` to ``f``.
"""

from __future__ import annotations

import pytest

from schemas.entry import Condition
from schemas.moment import moment_id
from tests.moment_found import OracleMoment
from tests.moment_patterns import meets
from tests.unit.moment_examples import BOTH, SINGLE, at, brief, e, ends, moments, rule, when


def test_single_finds_a_moment_at_every_event():
    got = moments(SINGLE, e("a", 5), e("b", 0), e("a", 6), e("unknown", 7))
    assert [each.cause for each in got] == ["a5", "a6"]
    assert got[0] == OracleMoment(
        moment_id("r", "k", "", "a5"),
        "r",
        "pain",
        "open",
        "k",
        "",
        "a5",
        ("a5",),
        at(5),
        at(5),
    )


def test_an_event_counts_once_and_for_its_customer():
    got = moments(SINGLE, e("a", 5), e("a", 5), e("a", 5, customer="l"))
    assert {each.customer_key for each in got} == {"k", "l"}
    assert len(got) == 2


@pytest.mark.parametrize(("minutes", "status"), [(60, "resolved"), (60.001, "open")])
def test_closing_within_open_for_the_end_included(minutes, status):
    assert ends(SINGLE, e("a", 0), e("b", minutes))[0][0] == status


def test_closing_is_after_the_event_in_the_order_of_time_and_id():
    assert ends(SINGLE, e("a", 0, "2"), e("b", 0, "1")) == [("open", None, "")]
    assert ends(SINGLE, e("a", 0, "2"), e("b", 0, "3")) == [("resolved", 0, "3")]


def test_what_causes_a_moment_does_not_close_it():
    text = rule("single", 'when.touchpoint = "a"\nresolved_by.touchpoint = "a"')
    assert ends(text, e("a", 0), e("a", 3)) == [("resolved", 3, "a3"), ("open", None, "")]


def test_the_first_closing_event_closes():
    assert ends(SINGLE, e("a", 0), e("b", 9), e("b", 3)) == [("resolved", 3, "b3")]


def test_an_event_that_is_both_retracts():
    assert ends(BOTH, e("a", 0), e("b", 3, channel="phone")) == [("retracted", 3, "b3")]
    assert ends(BOTH, e("a", 0), e("b", 2), e("b", 3, channel="phone")) == [("resolved", 2, "b2")]


def test_a_glory_can_only_be_retracted():
    text = rule("single", 'when.touchpoint = "a"\nretracted_by.touchpoint = "c"', glory=True)
    assert ends(text, e("a", 0), e("b", 1), e("c", 2)) == [("retracted", 2, "c2")]


# patterns


@pytest.mark.parametrize(
    ("pattern", "fields", "fits"),
    [
        ('channel = ["phone", "web"]', {}, True),
        ('channel = "phone"', {}, False),
        ('touchpoint = "b"', {}, False),
        ('touchpoint = "a", channel = "phone"', {}, False),
        ('action = "a"', {}, True),
        ('direction = "inbound"', {}, False),
        ('direction = "inbound"', {"direction": "inbound"}, True),
        ('direction = "inbound"', {"direction": "outbound"}, False),
        ('need = "learn"', {}, True),
        ('need = "learn"', {"need": "help"}, False),
        ('need = "help"', {"need": "help"}, True),
        ('segment = "gold"', {}, False),
        ('segment = "gold"', {"segment": "gold"}, True),
        ('stage = "first"', {}, True),
        ('stage = "second"', {}, False),
        ('where."details.x" = 1', {"details": {"x": 1}}, True),
        ('where."details.x" = 1', {"details": {"x": True}}, False),
        ('where."details.x" = 1', {}, False),
        ('where."details.x" = { exists = false }', {"details": {"x": None}}, True),
        ('where."rating.score" = { max = 3.0 }', {"rating": {"scale": "nps", "score": 3}}, True),
        ('where."rating.score" = { max = 3.0 }', {"rating": {"scale": "nps", "score": 4}}, False),
        ('where."rating.score" = { max = 3.0 }', {}, False),
    ],
)
def test_a_pattern_holds_when_everything_given_does(pattern, fields, fits):
    assert bool(moments(when(pattern), e("a", 0, **fields))) == fits


def test_of_a_list_of_patterns_any_may_fit():
    text = rule("single", 'when = [{ touchpoint = "a" }, { touchpoint = "b" }]')
    assert brief(text, e("a", 0), e("b", 1), e("c", 2)) == [("a0", "a0"), ("b1", "b1")]


@pytest.mark.parametrize(
    ("wanted", "value", "holds"),
    [
        ({"one_of": [True]}, 1, False),
        ({"one_of": [1]}, 1.0, True),
        ({"one_of": ["a"]}, ["a"], False),
        ({"min": 1.0}, True, False),
        ({"min": 1.0, "max": 2.0}, 1, True),
        ({"min": 1.0, "max": 2.0}, 2, True),
        ({"min": 1.0, "max": 2.0}, 2.5, False),
        ({"prefix": "ab"}, "abc", True),
        ({"prefix": "ab"}, "b", False),
        ({"exists": True, "prefix": "a"}, None, False),
    ],
)
def test_conditions(wanted, value, holds):
    assert meets(Condition(**wanted), value) == holds


def test_the_stage_counts_what_came_before_in_the_order_of_time_and_id():
    bought = [e("d", 10, "m"), e("d", 20)]
    assert brief(when('stage = "second"'), *bought, e("a", 10, "n")) == [("n", "n")]
    assert brief(when('stage = "second"'), *bought, e("a", 10, "l")) == []
    assert brief(when('stage = "third"'), *bought, e("a", 21)) == [("a21", "a21")]
    assert brief(when('stage = "third"'), *bought, e("a", 21, customer="l")) == []


def test_the_state_of_the_customer():
    twice = when('touchpoint = "b", customer = { fact = "bought", times = 2 }')
    never = when('touchpoint = "b", customer = { fact = "bought", absent = true }')
    events = [e("b", 0), e("d", 5), e("b", 5), e("d", 6), e("b", 7)]
    assert [cause for cause, *_ in brief(twice, *events)] == ["b7"]
    assert [cause for cause, *_ in brief(never, *events)] == ["b0", "b5"]  # b5 sorts before d5
    own = when('touchpoint = "d", customer = { fact = "bought" }')
    assert [cause for cause, *_ in brief(own, *events)] == ["d6"]


# subjects


def test_per_case_the_first_kind_of_the_rule_counts():
    text = rule("single", 'per = "case"\ncase = ["ticket_id", "order_id"]\nwhen.touchpoint = "a"')
    got = moments(
        text,
        e("a", 1, case_ids={"order_id": "7", "ticket_id": "9"}),
        e("a", 2, case_ids={"order_id": "7"}),
        e("a", 3, case_ids={"call_id": "7"}),
        e("a", 4),
    )
    assert [each.subject for each in got] == ["ticket_id:9", "order_id:7", "", ""]
    assert got[0].moment_id == moment_id("r", "k", "ticket_id:9", "a1")


def test_per_need_as_delivered_else_typical():
    text = rule("count", 'per = "need"\nwhen.channel = "web"\ncount = 2\nwithin = "1h"')
    got = moments(text, e("a", 1), e("b", 2), e("c", 3, need="learn"), e("unknown", 4))
    assert [(each.subject, each.evidence) for each in got] == [("learn", ("a1", "c3"))]
    got = moments(text, e("unknown", 1), e("unknown", 2))
    assert [each.subject for each in got] == [""]


def test_what_closes_is_of_the_same_subject():
    text = rule(
        "single",
        'per = "case"\ncase = "order_id"\nwhen.touchpoint = "a"\nresolved_by.touchpoint = "b"',
    )
    asked = e("a", 0, case_ids={"order_id": "7"})
    assert ends(text, asked, e("b", 1), e("b", 2, case_ids={"order_id": "8"}))[0][0] == "open"
    assert ends(text, asked, e("b", 3, case_ids={"order_id": "7"}))[0][0] == "resolved"


def test_same_looks_at_each_value_apart():
    text = rule("count", 'when.touchpoint = "a"\ncount = 2\nwithin = "1h"\nsame = "details.x"')
    got = moments(
        text,
        e("a", 0, details={"x": "p"}),
        e("a", 1, details={"x": "q"}),
        e("a", 2),
        e("a", 3),
        e("a", 4, details={"x": "p"}),
    )
    assert [(each.subject, each.evidence) for each in got] == [("p", ("a0", "a4"))]
    per_need = text.replace("same", 'per = "need"\nsame')
    got = moments(per_need, e("a", 0, details={"x": 3}), e("a", 1, details={"x": 3}))
    assert [each.subject for each in got] == ["learn 3"]


# count

COUNT = rule("count", 'when.touchpoint = "a"\ncount = 3\nwithin = "1h"\nunless.touchpoint = "b"')


def test_count_at_the_event_that_makes_it_enough():
    assert brief(COUNT, e("a", 0), e("a", 30), e("a", 60)) == [("a60", "a0", "a30", "a60")]
    assert brief(COUNT, e("a", 0), e("a", 30), e("a", 60.001)) == []


def test_count_is_found_again_only_when_it_was_not_enough_in_between():
    steady = [e("a", minutes) for minutes in (0, 10, 20, 30, 40)]
    assert brief(COUNT, *steady) == [("a20", "a0", "a10", "a20")]
    again = [*steady, e("a", 120), e("a", 130), e("a", 140)]
    assert [cause for cause, *_ in brief(COUNT, *again)] == ["a20", "a140"]


def test_unless_begins_the_count_anew():
    assert brief(COUNT, e("a", 0), e("a", 10), e("b", 15), e("a", 20), e("a", 25)) == []
    counted = brief(COUNT, e("a", 0), e("b", 15), e("a", 20), e("a", 25), e("a", 30))
    assert counted == [("a30", "a20", "a25", "a30")]
    after_one = [e("a", 0), e("a", 1), e("a", 2), e("b", 3), e("a", 4), e("a", 5), e("a", 6)]
    assert [cause for cause, *_ in brief(COUNT, *after_one)] == ["a2", "a6"]


def test_what_is_unless_and_when_begins_the_new_count():
    text = rule(
        "count", 'when.touchpoint = "a"\ncount = 2\nwithin = "1h"\nunless.channel = "phone"'
    )
    phone = e("a", 1, channel="phone")
    assert brief(text, e("a", 0), phone) == []
    assert brief(text, e("a", 0), phone, e("a", 2)) == [("a2", "a1", "a2")]


def test_count_at_one_instant_goes_by_id():
    assert brief(COUNT, e("a", 5, "3"), e("a", 5, "1"), e("a", 5, "2")) == [("3", "1", "2", "3")]


# rate

RATE = rule("rate", 'when.touchpoint = "a"\nmore_than = 2\nwithin = "1h"\nresolved_by.action = "b"')


def test_rate_in_a_window_open_at_its_beginning():
    assert brief(RATE, e("a", 0), e("a", 30), e("a", 60)) == []
    assert brief(RATE, e("a", 0), e("a", 30), e("a", 59)) == [("a59", "a0", "a30", "a59")]


def test_rate_is_over_at_the_first_event_at_which_it_is_not_so():
    events = [e("a", 0), e("a", 1), e("a", 2), e("a", 60.5), e("a", 61), e("a", 63)]
    # (0.5, 60.5] has 1, 2 and 60.5; (1, 61] has 2, 60.5 and 61; (3, 63] has 60.5, 61 and 63
    assert ends(RATE, *events) == [("resolved", 123, "")]
    assert ends(RATE, *events[:3], e("a", 61)) == [("resolved", 61, "a61")]
    assert ends(RATE, *events[:3], e("a", 62)) == [("resolved", 62, "a62")]


def test_rate_is_over_by_time_after_the_last_event():
    events = [e("a", 0), e("a", 1), e("a", 2)]
    assert ends(RATE, *events, e("a", 62.5)) == [("resolved", 62, "")]
    assert ends(RATE, *events, watermark=62.001) == [("resolved", 62, "")]
    assert ends(RATE, *events, watermark=62) == [("open", None, "")]
    assert ends(RATE, *events, e("a", 100), watermark=0) == [("resolved", 62, "")]


def test_rate_is_closed_by_whichever_comes_first():
    events = [e("a", 0), e("a", 1), e("a", 2)]
    assert ends(RATE, *events, e("b", 40), e("a", 61)) == [("resolved", 40, "b40")]
    assert ends(RATE, *events, e("a", 61), e("b", 61.5)) == [("resolved", 61, "a61")]
    assert ends(RATE, *events, e("b", 62)) == [("resolved", 62, "b62")]
    assert ends(RATE, *events, e("b", 63)) == [("resolved", 62, "")]


def test_rate_that_lasts_longer_than_open_for_stays_open():
    events = [e("a", 0), e("a", 1), e("a", 2)]
    assert ends(RATE + 'open_for = "3600s"\n', *events)[0][0] == "resolved"
    assert ends(RATE + 'open_for = "3599s"\n', *events) == [("open", None, "")]


def test_a_rate_of_glory_is_never_over():
    text = RATE.replace('kind = "pain"', 'kind = "glory"').replace("resolved_by", "retracted_by")
    assert ends(text, e("a", 0), e("a", 1), e("a", 2)) == [("open", None, "")]
    events = [e("a", 0), e("a", 1), e("a", 2), e("a", 90), e("b", 99)]
    assert ends(text, *events) == [("retracted", 99, "b99")]


def test_rate_is_found_again_after_it_was_over():
    burst = (0, 1, 2, 100, 101, 102)
    assert [cause for cause, *_ in brief(RATE, *(e("a", at) for at in burst))] == ["a2", "a102"]
