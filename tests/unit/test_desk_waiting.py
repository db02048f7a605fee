"""The desk of alerts, example by example: quiet hours, silences, and the summary after them."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.alerting import (
    HOUR,
    MINUTE,
    START,
    at,
    moment,
    office,
    order,
    revised,
    silent,
)

# --- quiet hours --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-10-19T06:59:00", "2026-10-19T07:00:00"),  # summer time
        ("2026-10-19T07:00:00", None),
        ("2026-10-19T14:59:59", None),
        ("2026-10-19T15:00:00", "2026-10-23T07:00:00"),  # Tuesday is a holiday
        ("2026-10-20T09:00:00", "2026-10-23T07:00:00"),
        ("2026-10-23T15:00:00", "2026-10-24T23:00:00"),  # Sunday 01:00, summer time
        ("2026-10-25T03:59:00", None),  # Sunday 04:59, winter time since an hour
        ("2026-10-25T04:00:00", "2026-10-26T08:00:00"),  # winter time
    ],
)
def test_quiet_hours_follow_the_calendar(now: str, opens: str | None) -> None:
    desk, found = office(hours='"office"'), moment()
    desk.now = at(now)
    decided = desk.round(found)
    if opens is None:
        assert desk.told(decided) == [("team", "trigger", 1)]
        return
    assert desk.told(decided) == []
    assert desk.verdict(found) == ("held", "quiet_hours")
    assert desk.desk.next_at() == at(opens)
    assert desk.told(desk.round(after=at(opens) - desk.now)) == [("team", "trigger", 1)]
    assert desk.delivered[0].notification.summary


def test_what_is_urgent_does_not_wait() -> None:
    desk = office(hours='"office"', urgent='"high"')
    desk.now = at("2026-10-19T20:00:00")
    calm, urgent = moment("a"), moment("b", severity="high")
    assert desk.told(desk.round(calm, urgent)) == [("team", "trigger", 1)]
    assert desk.verdict(calm) == ("held", "quiet_hours")


def test_a_night_is_one_summary_without_what_closed_meanwhile() -> None:
    desk = office(hours='"office"', cooldown='"1d"', max_age='"1h"')
    desk.now = at("2026-10-18T20:00:00")
    night = [moment(f"n{n}", rule=f"rule_{n % 2}", occurred_at=desk.now) for n in range(4)]
    for found in night:
        desk.round(found, after=MINUTE)
    assert desk.told(desk.round(revised(night[1], "resolved"))) == []
    assert desk.verdict(night[1]) == ("suppressed", "closed_while_held")
    decided = desk.round(after=12 * HOUR)
    assert desk.told(decided) == [("team", "trigger", 3)]
    said = decided.deliveries[0].notification
    assert said.summary
    assert said.group == {}
    assert said.title == "3 moments of pain while nobody was told"
    assert said.moment_ids == [night[n].moment_id for n in (0, 2, 3)]
    assert desk.told(desk.round(moment("next", rule="rule_0"))) == []  # cools down
    new = moment("new", rule="rule_7", occurred_at=desk.now)
    assert desk.told(desk.round(new)) == [("team", "trigger", 1)]  # no summary is joined


def test_a_summary_is_the_same_after_a_restart() -> None:
    told = []
    for restart in (False, True):
        desk = office(hours='"office"')
        desk.now = at("2026-10-18T20:00:00")
        for n in range(12):
            desk.round(moment(f"n{n}"), after=MINUTE)
        if restart:
            desk.restart()
        told.append(desk.round(after=12 * HOUR).deliveries[0])
    assert told[0] == told[1]


def test_held_and_opened_again() -> None:
    desk, found = office(hours='"office"'), moment()
    desk.now = at("2026-10-18T20:00:00")
    closed = revised(found, "resolved")
    desk.round(found)
    desk.round(closed)
    desk.round(revised(closed, "open"))
    assert desk.verdict(found) == ("held", "quiet_hours")
    assert desk.told(desk.round(after=12 * HOUR)) == [("team", "trigger", 1)]


# --- silences -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "held"),
    [
        ({}, True),
        ({"rule": "long_queue"}, True),
        ({"rule": "bad_rating"}, False),
        ({"owner": "Service"}, True),
        ({"owner": "Sales"}, False),
        ({"rule": "long_queue", "owner": "Service"}, True),
        ({"rule": "long_queue", "owner": "Sales"}, False),
    ],
)
def test_a_silence_is_of_a_rule_or_an_owner(about: dict[str, str], held: bool) -> None:
    desk, found = office(), moment()
    desk.round(found, orders=[silent(desk, HOUR, **about)])
    assert desk.verdict(found) == (("held", "silenced") if held else ("alerted", ""))
    assert desk.orders("active")[0].by == "Ann"


def test_what_a_silence_held_is_told_after_it() -> None:
    desk = office()
    desk.round(orders=[silent(desk, HOUR)])
    desk.round(moment("a", severity="critical"))
    assert desk.told(desk.round(after=HOUR)) == [("team", "trigger", 1)]
    said = desk.delivered[0].notification
    assert said.title == "1 moment of pain while nobody was told"
    assert desk.orders("active") == []
    assert [item.status for item in desk.orders("done")] == ["done"]


def test_a_silence_ends_when_somebody_says_so() -> None:
    desk = office()
    asked = silent(desk, HOUR)
    desk.round(moment(), orders=[asked])
    decided = desk.round(orders=[order("unsilence", number=2, target=asked.order_id)])
    assert desk.told(decided) == [("team", "trigger", 1)]
    assert desk.orders("active", "asked") == []
    nobody = order("unsilence", number=3, target=UUID(int=99))
    assert desk.told(desk.round(orders=[nobody])) == []
    assert desk.orders("active", "asked") == []


def test_a_silence_that_is_over_before_it_is_seen_is_none() -> None:
    desk = office()
    desk.round(moment(), orders=[silent(desk, -HOUR)])
    assert desk.verdict(moment()) == ("alerted", "")
    assert [item.status for item in desk.orders("done")] == ["done"]


def test_of_two_silences_the_last_counts() -> None:
    desk, found = office(), moment()
    long, short = silent(desk, 3 * HOUR, 1), silent(desk, HOUR, 2)
    desk.round(found, orders=[short, long])
    assert desk.verdicts()[found.moment_id, "pain"].until == START + 3 * HOUR
    desk.round(orders=[order("unsilence", number=3, target=long.order_id)])
    assert desk.verdicts()[found.moment_id, "pain"].until == START + HOUR
    assert desk.told(desk.round(after=HOUR)) == [("team", "trigger", 1)]


@pytest.mark.parametrize("restart", [False, True])
def test_silenced_in_quiet_hours(restart: bool) -> None:
    desk, found = office(hours='"office"'), moment()
    desk.now = at("2026-10-18T20:00:00")
    desk.round(found, orders=[silent(desk, 2 * HOUR)])
    assert desk.verdict(found) == ("held", "silenced")
    if restart:
        desk.restart()
    assert desk.told(desk.round(after=2 * HOUR)) == []
    assert desk.verdict(found) == ("held", "quiet_hours")
    desk.round(orders=[silent(desk, 12 * HOUR, 2)], after=MINUTE)
    if restart:
        desk.restart()
    assert desk.told(desk.round(after=at("2026-10-19T07:00:00") - desk.now)) == []
    assert desk.verdict(found) == ("held", "silenced")
    assert desk.told(desk.round(after=4 * HOUR)) == [("team", "trigger", 1)]
