"""The oracle against examples of what goes on in time: sequences, absences, changes, promises.

Times are minutes; ``e`` makes an event at touchpoint ``a`` to ``f``.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from schemas.moment import moment_id
from tests.moment_catalog import read
from tests.moment_found import Seen
from tests.moment_patterns import due_after
from tests.unit.moment_examples import HOUR, at, brief, e, ends, moments, outcomes, promises, rule

# sequence

SEQUENCE = rule(
    "sequence",
    'first.touchpoint = "a"\nthen.touchpoint = "b"\nwithin = "1h"\nunless.touchpoint = "c"',
)


@pytest.mark.parametrize(("minutes", "count"), [(60, 1), (60.001, 0), (0, 1)])
def test_sequence_within_the_end_included(minutes, count):
    assert len(brief(SEQUENCE, e("a", 0), e("b", minutes))) == count


def test_sequence_looks_at_the_nearest_event_only():
    assert brief(SEQUENCE, e("a", 0), e("a", 5), e("b", 9)) == [("b9", "a5", "b9")]
    assert brief(SEQUENCE, e("a", 0), e("b", 5), e("b", 9)) == [("b5", "a0", "b5")]
    assert brief(SEQUENCE, e("a", 0), e("c", 5), e("b", 9)) == []
    assert brief(SEQUENCE, e("a", 0), e("d", 5), e("b", 9)) == [("b9", "a0", "b9")]
    assert brief(SEQUENCE, e("b", 0), e("a", 1)) == []


def test_sequence_is_caused_by_the_then_event():
    (got,) = moments(SEQUENCE, e("a", 0), e("b", 9))
    assert (got.cause_at, got.occurred_at, got.due_at) == (at(9), at(9), None)


def test_in_a_sequence_one_event_can_be_then_and_first():
    text = rule("sequence", 'first.touchpoint = "a"\nthen.touchpoint = "a"\nwithin = "1h"')
    assert brief(text, e("a", 0), e("a", 5), e("a", 9)) == [("a5", "a0", "a5"), ("a9", "a5", "a9")]


def test_what_is_first_and_unless_is_no_first():
    text = SEQUENCE.replace('unless.touchpoint = "c"', 'unless.channel = "phone"')
    assert brief(text, e("a", 0, channel="phone"), e("b", 5)) == []
    assert brief(text, e("a", 0), e("b", 5, channel="phone")) == [("b5", "a0", "b5")]


# absence

ABSENCE = rule(
    "absence",
    'after.touchpoint = "a"\nuntil.touchpoint = "b"\nunless.touchpoint = "c"\nwithin = "1h"',
)


def test_absence_is_found_when_the_watermark_is_past_the_due_time():
    (got,) = moments(ABSENCE, e("a", 5), watermark=65.001)
    assert (got.cause, got.evidence, got.cause_at) == ("a5", ("a5",), at(5))
    assert (got.occurred_at, got.due_at, got.status) == (at(65), at(65), "open")
    assert moments(ABSENCE, e("a", 5), watermark=65) == []
    assert moments(ABSENCE, e("a", 5), e("b", 70), watermark=65) == []


@pytest.mark.parametrize("ending", ["b", "c"])
def test_absence_ended_in_time(ending):
    assert moments(ABSENCE, e("a", 5), e(ending, 65)) == []
    assert len(moments(ABSENCE, e("a", 5), e(ending, 65.001))) == 1
    assert len(moments(ABSENCE, e("a", 5), e(ending, 4))) == 1
    assert len(moments(ABSENCE, e("a", 5, "2"), e(ending, 5, "1"))) == 1


def test_absence_ended_late():
    assert ends(ABSENCE, e("a", 5), e("b", 66)) == [("resolved", 66, "b66")]
    assert ends(ABSENCE, e("a", 5), e("c", 66)) == [("retracted", 66, "c66")]
    short = ABSENCE + 'open_for = "30m"\n'
    assert ends(short, e("a", 5), e("b", 95))[0][0] == "resolved"
    assert ends(short, e("a", 5), e("b", 95.001))[0][0] == "open"


def test_absence_is_closed_only_by_what_is_later_than_its_due_time():
    text = ABSENCE + 'resolved_by.touchpoint = "d"\n'
    assert ends(text, e("a", 5), e("d", 65)) == [("open", None, "")]
    assert ends(text, e("a", 5), e("d", 66)) == [("resolved", 66, "d66")]


def test_each_after_event_waits_for_itself_unless_told():
    events = [e("a", 0), e("a", 30)]
    assert [cause for cause, *_ in brief(ABSENCE, *events)] == ["a0", "a30"]
    last = ABSENCE + "each = false\n"
    assert [cause for cause, *_ in brief(last, *events)] == ["a30"]
    assert [cause for cause, *_ in brief(last, e("a", 0), e("a", 60))] == ["a60"]
    assert [cause for cause, *_ in brief(last, e("a", 0), e("a", 60.001))] == ["a0", "a60.001"]
    assert brief(last, e("a", 0), e("a", 30), e("b", 70)) == []


# change

CHANGE = rule(
    "change", 'per = "case"\ncase = "order_id"\nwhen.touchpoint = ["a", "b"]\nwithin = "1h"'
)


def order(touchpoint: str, minutes: float, channel: str, case: str = "7") -> Seen:
    return e(touchpoint, minutes, channel=channel, case_ids={"order_id": case})


def test_change_to_another_channel():
    assert brief(CHANGE, order("a", 0, "web"), order("b", 60, "phone")) == [("b60", "a0", "b60")]
    assert brief(CHANGE, order("a", 0, "web"), order("b", 60.001, "phone")) == []
    assert brief(CHANGE, order("a", 0, "web"), order("b", 5, "web")) == []
    assert brief(CHANGE, order("a", 0, "web"), order("b", 5, "phone", "8")) == []


def test_change_looks_at_the_nearest_event_only():
    events = [order("a", 0, "phone"), order("a", 5, "web"), order("b", 9, "web")]
    assert brief(CHANGE, *events) == [("a5", "a0", "a5")]


def test_change_with_then():
    text = CHANGE + 'then.touchpoint = "c"\n'
    events = [order("a", 0, "web"), order("b", 3, "phone"), order("c", 5, "web")]
    assert brief(text, *events) == [("c5", "b3", "c5")]
    assert brief(text, order("a", 0, "web"), order("c", 5, "web"), order("c", 6, "email")) == [
        ("c6", "a0", "c6")
    ]


# promises

PROMISE = """
[[promises]]
id = "p"
name = "P"
made.touchpoint = "a"
kept.touchpoint = "b"
cancelled.touchpoint = "c"
term = "2h"
open_for = "3h"
"""
BROKEN = PROMISE + rule("absence", 'promise = "p"')
EARLY = PROMISE + rule("sequence", 'promise = "p"\nshare = 0.5', glory=True)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([], ("broken", "")),
        ([("b", 120)], ("kept", "b120")),
        ([("b", 0)], ("kept", "b0")),
        ([("b", 120.001)], ("kept_late", "b120.001")),
        ([("b", 300)], ("kept_late", "b300")),
        ([("b", 300.001)], ("broken", "")),
        ([("b", -1)], ("broken", "")),
        ([("c", 120)], ("cancelled", "")),
        ([("c", 5), ("b", 6)], ("cancelled", "")),
        ([("b", 5), ("c", 6)], ("kept", "b5")),
        ([("c", 121)], ("broken", "")),
    ],
)
def test_what_becomes_of_a_promise(answers, outcome):
    assert outcomes(PROMISE, e("a", 0), *(e(*answer) for answer in answers)) == [outcome]


def test_a_promise_is_pending_until_the_watermark_is_past_its_due_time():
    assert outcomes(PROMISE, e("a", 0), watermark=120) == [("pending", "")]
    assert outcomes(PROMISE, e("a", 0), e("b", 130), watermark=120) == [("pending", "")]
    assert outcomes(PROMISE, e("a", 0), e("b", 90), watermark=0) == [("kept", "b90")]
    assert outcomes(PROMISE, e("a", 0), watermark=120.001) == [("broken", "")]


def test_the_due_time_as_promised_else_by_the_term():
    def due(**fields: Any) -> datetime:
        return promises(PROMISE, e("a", 0, **fields))[0].due_at

    assert due() == at(120)
    assert due(promise_due_at="2026-01-05T09:00:00+02:00") == at(7 * HOUR)
    assert due(promise_due_at="2026-01-05T00:00:00Z") == at(0)
    assert due(promise_due_at="2026-01-04T23:59:59Z") == at(120)
    no_term = PROMISE.replace('term = "2h"\n', "")
    assert promises(no_term, e("a", 0)) == []
    assert promises(no_term, e("a", 0, promise_due_at="2026-01-04T23:59:59Z")) == []
    assert len(promises(no_term, e("a", 0, promise_due_at="2026-01-06T00:00:00Z"))) == 1


def test_a_reply_up_to_so_long_before_counts():
    text = PROMISE + 'before = "1h"\n'
    (got,) = promises(text, e("b", 0), e("a", 60))
    assert (got.status, got.answered_at, got.answered_by) == ("kept", at(0), "b0")
    assert got.promise_id == moment_id("p", "k", "", "a60")
    assert outcomes(text, e("b", 0), e("a", 60.001)) == [("broken", "")]
    assert outcomes(text, e("b", 0), e("b", 5), e("a", 60), e("b", 70)) == [("kept", "b5")]


def test_one_answer_keeps_every_promise_before_it():
    assert outcomes(PROMISE, e("a", 0), e("a", 60), e("b", 90)) == [("kept", "b90")] * 2
    assert outcomes(PROMISE, e("a", 0), e("a", 60), e("b", 150)) == [
        ("kept_late", "b150"),
        ("kept", "b150"),
    ]


def test_what_makes_a_promise_does_not_keep_it():
    text = PROMISE.replace('kept.touchpoint = "b"', 'kept.touchpoint = "a"')
    assert outcomes(text, e("a", 0), e("a", 5)) == [("kept", "a5"), ("broken", "")]
    assert outcomes(text + 'before = "1h"\n', e("a", 0), e("a", 5))[0] == ("kept", "a5")
    assert outcomes(text + 'before = "1h"\n', e("a", 0)) == [("broken", "")]


def test_a_promise_is_of_its_subject():
    text = PROMISE + 'per = "case"\ncase = "order_id"\n' + rule("absence", 'promise = "p"')
    made, other = order("a", 0, "web"), order("b", 5, "web", "8")
    assert outcomes(text, made, other) == [("broken", "")]
    (got,) = moments(text, made, other)
    assert (got.subject, got.moment_id) == ("order_id:7", moment_id("r", "k", "order_id:7", "a0"))


def test_a_broken_promise_is_a_moment():
    (got,) = moments(BROKEN, e("a", 0))
    assert (got.cause, got.evidence, got.cause_at) == ("a0", ("a0",), at(0))
    assert (got.occurred_at, got.due_at, got.status) == (at(120), at(120), "open")
    assert moments(BROKEN, e("a", 0), e("b", 120)) == []
    assert moments(BROKEN, e("a", 0), e("c", 120)) == []
    assert moments(BROKEN, e("a", 0), watermark=120) == []


def test_what_closes_a_broken_promise():
    assert ends(BROKEN, e("a", 0), e("b", 121)) == [("resolved", 121, "b121")]
    assert ends(BROKEN, e("a", 0), e("c", 121)) == [("retracted", 121, "c121")]
    own = BROKEN + 'resolved_by.touchpoint = "d"\nretracted_by.touchpoint = "e"\n'
    assert ends(own, e("a", 0), e("d", 120)) == [("open", None, "")]
    assert ends(own, e("a", 0), e("d", 121), e("b", 122)) == [("resolved", 121, "d121")]
    assert ends(own, e("a", 0), e("e", 121)) == [("retracted", 121, "e121")]


def test_a_promise_kept_early():
    (got,) = moments(EARLY, e("a", 0), e("b", 60))
    assert (got.cause, got.evidence, got.due_at) == ("b60", ("a0", "b60"), at(120))
    assert (got.cause_at, got.occurred_at) == (at(60), at(60))
    assert moments(EARLY, e("a", 0), e("b", 60.001)) == []
    assert moments(EARLY.replace("0.5", "1.0"), e("a", 0), e("b", 120.001)) == []


def test_an_early_answer_before_is_closed_only_by_what_comes_after_the_promise():
    text = EARLY.replace("[[rules]]", 'before = "1h"\n[[rules]]') + 'retracted_by.action = "d"\n'
    (got,) = moments(text, e("b", 0), e("d", 20), e("a", 40))
    assert (got.evidence, got.occurred_at, got.status) == (("b0", "a40"), at(0), "open")
    assert ends(text, e("b", 0), e("a", 40), e("d", 45)) == [("retracted", 45, "d45")]


def test_an_answer_that_keeps_several_early_is_one_moment():
    assert brief(EARLY, e("a", 0), e("a", 30), e("b", 60)) == [("b60", "a0", "b60")]
    assert brief(EARLY, e("a", 0), e("a", 30), e("b", 61)) == [("b61", "a30", "b61")]


# business hours

OFFICE = """
[[calendars]]
id = "office"
zone = "Europe/Amsterdam"
hours = { mon = ["09:00-17:00"], tue = ["09:00-17:00"], wed = ["09:00-17:00"], \
thu = ["09:00-12:00", "13:00-17:00"], fri = ["09:00-17:00"] }
holidays = [2026-04-06]
"""


def local(text: str) -> datetime:
    """Amsterdam is an hour before UTC in winter, two in summer."""
    return datetime.fromisoformat(text).astimezone(timezone.utc)


@pytest.mark.parametrize(
    ("begins", "hours", "ends_at"),
    [
        ("2026-01-09T16:00+01:00", 8, "2026-01-12T16:00+01:00"),  # Friday to Monday
        ("2026-01-09T09:00+01:00", 8, "2026-01-09T17:00+01:00"),  # at closing time
        ("2026-01-09T08:00+01:00", 8, "2026-01-09T17:00+01:00"),
        ("2026-01-09T17:00+01:00", 1, "2026-01-12T10:00+01:00"),
        ("2026-01-10T12:00+01:00", 8, "2026-01-12T17:00+01:00"),
        ("2026-01-08T11:30:15+01:00", 1, "2026-01-08T13:30:15+01:00"),  # over lunch
        ("2026-03-27T16:00+01:00", 2, "2026-03-30T10:00+02:00"),  # summer time begins
        ("2026-04-03T16:00+02:00", 2, "2026-04-07T10:00+02:00"),  # a holiday on Monday
    ],
)
def test_business_hours(begins, hours, ends_at):
    calendar = read(OFFICE).calendars[0]
    assert due_after(calendar, local(begins), timedelta(hours=hours)) == local(ends_at)


@pytest.mark.parametrize(
    ("begins", "ends_at"),
    [
        ("2026-03-29T01:00+01:00", "2026-03-29T05:00+02:00"),  # 2 to 3 o'clock is not there
        ("2026-10-25T01:00+02:00", "2026-10-25T03:00+01:00"),  # 2 to 3 o'clock is there twice
    ],
)
def test_an_hour_skipped_or_repeated_has_its_real_length(begins, ends_at):
    calendar = read(OFFICE.replace('mon = ["09:00-17:00"]', 'sun = ["00:00-24:00"]')).calendars[0]
    assert due_after(calendar, local(begins), timedelta(hours=3)) == local(ends_at)


def test_terms_by_a_calendar():
    text = OFFICE + PROMISE.replace("[[promises]]", '[[promises]]\ncalendar = "office"')
    assert promises(text, e("a", 0))[0].due_at == at(10 * HOUR)
    absent = OFFICE + ABSENCE + 'calendar = "office"\n'
    assert moments(absent, e("a", 0), e("b", 9 * HOUR)) == []
    assert [each.due_at for each in moments(absent, e("a", 0))] == [at(9 * HOUR)]
