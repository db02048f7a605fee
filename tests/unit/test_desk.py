"""The desk of alerts, example by example: who is told what, when, and who is not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.moment import Moment
from schemas.notification import MOST_LISTED
from tests.alerting import (
    DAY,
    HOUR,
    MINUTE,
    START,
    at,
    by_alert,
    catalog,
    moment,
    office,
    only,
    order,
    revised,
)

# --- alerts: one trigger for many, then updates, then the end -----------------------------------


def test_one_moment_is_one_alert_and_one_notification() -> None:
    desk = office()
    decided = desk.round(moment())
    assert desk.told(decided) == [("team", "trigger", 1)]
    assert desk.verdict(moment()) == ("alerted", "")
    said = decided.deliveries[0].notification
    assert (said.group, said.open, said.owner) == (
        {"rule": "long_queue", "owner": "Service"}, 1, "Service",
    )  # fmt: skip
    assert said.moment_ids == [moment().moment_id]


def test_the_same_revision_and_earlier_ones_change_nothing() -> None:
    desk, found = office(), moment(revision=3)
    desk.round(found)
    for revision in (3, 2, 1):
        late = found.model_copy(update={"revision": revision, "status": "resolved"})
        assert not desk.round(late)


def test_moments_join_by_what_they_have_in_common() -> None:
    desk = office()
    decided = desk.round(moment("a"), moment("b"), moment("c", owner="Sales"))
    assert desk.told(decided) == [("team", "trigger", 2), ("team", "trigger", 1)]


def test_moments_join_within_the_window_only() -> None:
    desk = office(window='"10m"')
    desk.round(moment("a"))
    desk.round(moment("b"), after=10 * MINUTE - timedelta(microseconds=1))
    desk.round(moment("c"), after=timedelta(microseconds=1))
    assert sorted(alert.count for alert in desk.alerts()) == [1, 2]


def test_updates_come_at_most_so_often_and_the_last_is_not_forgotten() -> None:
    desk = office(update_every='"1m"')
    desk.round(moment("a"))
    assert desk.told(desk.round(moment("b"), after=20 * timedelta(seconds=1))) == []
    assert desk.told(desk.round(moment("c"), after=20 * timedelta(seconds=1))) == []
    assert desk.desk.next_at() == START + MINUTE
    decided = desk.round(after=20 * timedelta(seconds=1))
    assert desk.told(decided) == [("team", "update", 3)]
    said = decided.deliveries[0].notification
    assert said.moment_ids == [moment("b").moment_id, moment("c").moment_id]
    assert [told.text for told in said.moments] == ["what was found: b", "what was found: c"]
    assert desk.told(desk.round(after=HOUR)) == []


def test_ten_thousand_pains_of_a_minute_are_few_notifications() -> None:
    desk = office(update_every='"30s"')
    for second in range(50):
        desk.round(*(moment(f"{second} {n}") for n in range(200)), after=timedelta(seconds=1))
    for _ in range(10):
        desk.round(after=MINUTE)
    actions = [item.notification.action for item in desk.delivered]
    assert actions == ["trigger", "update", "update"]
    first, second, third = (item.notification for item in desk.delivered)
    assert (first.count, second.count, third.count) == (200, 200 * 31, 10_000)
    assert len(second.moment_ids) == MOST_LISTED
    assert len(second.moments) == 10
    assert desk.desk.alerts == {}


def test_an_alert_ends_with_its_last_moment() -> None:
    desk = office()
    desk.round(moment("a"), moment("b"))
    assert desk.told(desk.round(revised(moment("a"), "resolved"))) == []
    decided = desk.round(revised(moment("b"), "withdrawn"))
    assert desk.told(decided) == [("team", "resolve", 2)]
    said = decided.deliveries[0].notification
    assert said.open == 0
    assert [told.status for told in said.moments] == ["resolved", "withdrawn"]
    assert only(desk).closed_at == desk.now
    assert desk.told(desk.round(revised(revised(moment("b"), "x"), "retracted"))) == []


@pytest.mark.parametrize("status", ["resolved", "retracted", "withdrawn"])
def test_what_comes_and_goes_in_one_batch_is_told_with_its_end(status: str) -> None:
    desk = office()
    decided = desk.round(moment(), revised(moment(), status))
    assert desk.told(decided) == [("team", "trigger", 1), ("team", "resolve", 1)]
    assert [item.sequence for item in decided.deliveries] == [1, 2]


@pytest.mark.parametrize("status", ["resolved", "retracted", "withdrawn"])
def test_what_is_over_when_it_comes_is_told_to_nobody(status: str) -> None:
    desk, found = office(), moment(status=status)
    assert desk.told(desk.round(found)) == []
    assert desk.verdict(found) == ("suppressed", "closed_before")
    assert desk.told(desk.round(revised(found, "open"))) == [("team", "trigger", 1)]


def test_what_was_not_mended_after_all_is_another_alert() -> None:
    desk, found = office(), moment()
    closed = revised(found, "resolved")
    desk.round(found)
    desk.round(closed)
    assert desk.told(desk.round(revised(closed, "open"))) == [("team", "trigger", 1)]
    assert len(desk.alerts()) == 2
    assert sorted(alert.open for alert in desk.alerts()) == [0, 1]


@pytest.mark.parametrize("keys", [{"cooldown": '"1d"'}, {"max_age": '"1h"'}])
def test_who_heard_that_it_is_mended_hears_that_it_is_not(keys: dict[str, str]) -> None:
    desk, found = office(**keys), moment()
    closed = revised(found, "resolved")
    desk.round(found)
    desk.round(closed)
    assert desk.told(desk.round(revised(closed, "open"), after=2 * HOUR)) == [
        ("team", "trigger", 1)
    ]


def test_a_moment_that_opens_again_in_an_open_alert_stays_in_it() -> None:
    desk = office()
    desk.round(moment("a"), moment("b"))
    closed = revised(moment("a"), "resolved")
    desk.round(closed)
    assert only(desk).open == 1
    assert desk.told(desk.round(revised(closed, "open"))) == []
    assert (only(desk).open, only(desk).count) == (2, 2)


def test_without_resolved_the_end_is_not_told_but_what_is_new_is() -> None:
    desk = office(resolved="false")
    desk.round(moment("a"))
    desk.round(moment("b"), after=timedelta(seconds=5))
    decided = desk.round(
        revised(moment("a"), "resolved"), revised(moment("b"), "resolved"),
        after=timedelta(seconds=5),
    )  # fmt: skip
    assert desk.told(decided) == [("team", "update", 2)]
    assert decided.deliveries[0].notification.moment_ids == [moment("b").moment_id]
    assert desk.told(desk.round(after=HOUR)) == []


def test_by_moment_each_is_its_own_alert() -> None:
    desk = office(group_by='["moment", "rule"]')
    decided = desk.round(moment("a"), moment("b"))
    assert desk.told(decided) == [("team", "trigger", 1), ("team", "trigger", 1)]
    assert desk.desk.alerts == {}
    assert desk.desk.next_at() is None
    assert desk.told(desk.round(revised(moment("a"), "resolved"), after=DAY)) == [
        ("team", "resolve", 1)
    ]


def test_naming_twice_what_they_have_in_common_does_no_harm() -> None:
    desk = office(group_by='["rule", "rule"]')
    desk.round(moment("a"))
    desk.restart()
    desk.round(moment("b"))
    assert only(desk).count == 2


# --- cooldown and age ---------------------------------------------------------------------------


def test_a_cooldown_is_of_what_repeats() -> None:
    desk = office(cooldown='"1h"', group_by='"moment"')
    desk.round(moment("a"))
    same, other = moment("b"), moment("c", customer_key="customer-2")
    assert desk.told(desk.round(same, other, after=MINUTE)) == [("team", "trigger", 1)]
    assert desk.verdict(same) == ("suppressed", "cooldown")
    assert desk.verdict(other) == ("alerted", "")
    late = moment("d")
    assert desk.told(desk.round(late, after=HOUR - MINUTE)) == [("team", "trigger", 1)]


def test_a_cooldown_can_be_of_something_else() -> None:
    desk = office(cooldown='"1h"', cooldown_by='"owner"', group_by='"moment"')
    desk.round(moment("a"))
    found = moment("b", customer_key="customer-2", rule="bad_rating")
    assert desk.told(desk.round(found)) == []


def test_a_cooldown_outlives_a_restart_and_what_became_of_its_moment() -> None:
    desk = office(cooldown='"12h"', hours='"office"', urgent='"critical"')
    found = moment("a")
    closed = revised(found, "resolved")
    desk.round(found)
    desk.round(closed)
    desk.round(revised(closed, "open"), after=10 * HOUR)  # 20:00 in Amsterdam: held
    assert desk.verdict(found) == ("held", "quiet_hours")
    desk.restart()
    urgent = moment("b", severity="critical")
    assert desk.told(desk.round(urgent)) == []
    assert desk.verdict(urgent) == ("suppressed", "cooldown")


def test_what_is_old_is_not_told() -> None:
    desk = office(max_age='"2h"')
    old, young = moment("a", occurred_at=START - 2 * HOUR - MINUTE), moment("b")
    assert desk.told(desk.round(old, young)) == [("team", "trigger", 1)]
    assert desk.verdict(old) == ("suppressed", "too_old")
    assert not desk.round(old)


# --- escalation and acknowledgement -------------------------------------------------------------

ESCALATE = '{ after = "30m", to = "boss" }'


def test_who_else_is_told_when_nobody_acts() -> None:
    desk = office(escalate=ESCALATE)
    desk.round(moment())
    assert desk.told(desk.round(after=29 * MINUTE)) == []
    decided = desk.round(after=MINUTE)
    assert desk.told(decided) == [("boss", "trigger", 1)]
    assert decided.deliveries[0].notification.escalated
    assert desk.desk.alerts == {}
    assert desk.told(desk.round(after=DAY)) == []
    assert desk.told(desk.round(revised(moment(), "resolved"))) == [
        ("team", "resolve", 1), ("boss", "resolve", 1),
    ]  # fmt: skip


def test_who_was_told_already_hears_that_it_is_escalated() -> None:
    desk = office(to='["team", "desk"]', escalate='{ after = "30m", to = ["boss", "team"] }')
    desk.round(moment())
    decided = desk.round(after=HOUR)
    assert desk.told(decided) == [("team", "update", 1), ("boss", "trigger", 1)]
    assert [item.sequence for item in decided.deliveries] == [2, 3]


def test_what_is_new_when_it_is_escalated_is_not_lost_to_those_told_before() -> None:
    desk = office(to='["team", "desk"]', escalate=ESCALATE, window='"1h"', update_every='"10m"')
    desk.round(moment("a"))
    desk.round(moment("b"), after=25 * MINUTE)
    desk.round(moment("c"), after=timedelta(seconds=1))
    decided = desk.round(after=5 * MINUTE)
    assert desk.told(decided) == [
        ("team", "update", 3), ("desk", "update", 3), ("boss", "trigger", 3),
    ]  # fmt: skip
    assert decided.deliveries[0].notification.moment_ids == [moment("c").moment_id]
    assert desk.told(desk.round(after=10 * MINUTE)) == []


def test_acknowledged_is_not_escalated() -> None:
    desk = office(escalate=ESCALATE)
    desk.round(moment())
    ack = order("acknowledge", alert_id=only(desk).alert_id)
    decided = desk.round(orders=[ack], after=MINUTE)
    assert desk.told(decided) == [("team", "acknowledge", 1)]
    assert decided.deliveries[0].notification.acknowledged_by == "Ann"
    again = order("acknowledge", number=2, alert_id=only(desk).alert_id)
    assert desk.told(desk.round(orders=[again])) == []
    assert desk.told(desk.round(after=DAY)) == []
    assert desk.desk.alerts == {}


def test_acknowledged_just_after_it_is_escalated() -> None:
    desk = office(escalate=ESCALATE)
    desk.round(moment())
    decided = desk.round(orders=[order("acknowledge", alert_id=only(desk).alert_id)], after=HOUR)
    assert desk.told(decided) == [
        ("boss", "trigger", 1), ("team", "acknowledge", 1), ("boss", "acknowledge", 1),
    ]  # fmt: skip


def test_an_old_alert_can_be_acknowledged_and_a_closed_one_not() -> None:
    desk = office()
    desk.round(moment())
    ack = order("acknowledge", alert_id=only(desk).alert_id)
    assert desk.told(desk.round(orders=[ack], after=DAY)) == [("team", "acknowledge", 1)]
    desk.round(revised(moment(), "resolved"))
    late = order("acknowledge", number=2, alert_id=only(desk).alert_id)
    assert desk.told(desk.round(orders=[late])) == []
    assert desk.orders("asked") == []


# --- a catalog that changes ---------------------------------------------------------------------

OTHER = '[[routes]]\nid = "other"\nto = "boss"\n'


def test_the_end_is_told_though_the_route_is_gone() -> None:
    desk = office(escalate=ESCALATE)
    desk.round(moment("a"))
    desk.round(moment("b"), after=timedelta(seconds=1))  # would be told by an update
    desk.employ(catalog(OTHER))
    assert desk.told(desk.round(after=DAY)) == []
    assert desk.desk.alerts == {}
    desk.round(revised(moment("a"), "resolved"))
    assert desk.told(desk.round(revised(moment("b"), "resolved"))) == [("team", "resolve", 2)]


def test_what_a_route_held_that_is_gone_is_told_to_nobody() -> None:
    desk = office(hours='"office"')
    desk.now = at("2026-10-18T20:00:00")
    desk.round(moment())
    desk.employ(catalog(OTHER))
    assert desk.told(desk.round(after=DAY)) == []
    assert desk.verdict(moment()) == ("suppressed", "route_gone")
    assert desk.desk.next_at() is None


def test_moments_told_before_do_not_go_by_new_routes() -> None:
    desk = office()
    desk.round(moment())
    desk.employ(catalog(OTHER))
    assert desk.told(desk.round(revised(moment(), "open"))) == []


# --- what is kept -------------------------------------------------------------------------------


def test_when_it_was_decided_and_which_alert_it_was_in() -> None:
    desk, found = office(hours='"office"', to='["team", "boss"]'), moment()
    closed = revised(found, "resolved")
    desk.round(found)
    desk.round(closed, after=MINUTE)
    kept = desk.verdicts()[found.moment_id, "pain"]
    assert (kept.decided_at, kept.alerted_at, kept.status) == (START, START, "resolved")
    first = kept.alert_id
    desk.round(revised(closed, "open"), after=12 * HOUR)
    kept = desk.verdicts()[found.moment_id, "pain"]
    assert (kept.decision, kept.decided_at) == ("held", desk.now)
    assert (kept.alert_id, kept.alerted_at) == (first, START)
    assert list(by_alert(desk.delivered)) == [first]


def test_customers_are_counted_where_all_of_them_are_known() -> None:
    desk = office()
    decided = desk.round(*(moment(f"m{n}", customer_key=f"c{n % 2}") for n in range(3)))
    words = desk.desk._telling._wording
    assert "of 2 customers" in words.with_text(decided.deliveries[0].notification, {}).text
    desk = office()
    many: list[Moment] = [moment(f"m{n}", customer_key=f"c{n % 2}") for n in range(11)]
    decided = desk.round(*many)
    assert "of 2 or more customers" in words.with_text(decided.deliveries[0].notification, {}).text
