"""Whatever comes in whatever pieces, and whenever the alerter begins anew: promises hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts import journal_rows
from pipeline.alerts.desk import Decided
from pipeline.alerts.state import Order
from schemas.moment import Moment
from tests.alerting import START, Office, by_alert, catalog, moment

ROUTES = {
    "gathering": """
[[routes]]
id = "a"
to = ["team", "desk"]
go_on = true
escalate = { after = "20m", to = ["boss", "desk"] }

[[routes]]
id = "b"
to = "boss"
at_least = "high"
group_by = "moment"
escalate = { after = "5m", to = "team" }
""",
    "patient": """
[[routes]]
id = "a"
to = "team"
hours = "office"
cooldown = "3h"
cooldown_by = "customer"
go_on = true
resolved = false
update_every = "15m"
escalate = { after = "4m", to = "boss" }

[[routes]]
id = "b"
to = ["team", "boss"]
rule = "long_queue"
max_age = "6h"
cooldown = "2h"
group_by = ["owner", "severity"]
window = "1h"
update_every = "7m"
""",
    "plain": """
[[routes]]
id = "a"
to = "team"
owner = "Service"
window = "2m"
update_every = "5m"
""",
}
CLOSED = ("resolved", "retracted", "withdrawn")
#: Why a moment that is open may be told to nobody.
REASONS = {"cooldown", "too_old"}
EVERY = pytest.mark.parametrize("routes", sorted(ROUTES))


@dataclass
class Step:
    """What comes at one time: orders, then moments."""

    after: timedelta
    orders: list[Order] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)  # which of the alerts there are


#: Minutes between steps; short ones are likelier, or nothing would meet anything.
MINUTES = (0, 0, 0, 1, 1, 1, 3, 3, 5, 5, 10, 15, 30, 60, 120, 720, 1_440)
SEEDS = st.integers(0, 2**32)


def program(dice: Random) -> list[Step]:
    """Steps of revisions of a few moments, in order for each, with earlier ones again."""
    pool = [
        moment(
            f"m{number}",
            rule=dice.choice(["long_queue", "bad_rating"]),
            owner=dice.choice(["Service", "Service", "Sales"]),
            severity=dice.choice(["low", "high", "critical"]),
            customer_key=dice.choice(["c1", "c2"]),
            occurred_at=START - timedelta(hours=dice.choice([0, 1, 9])),
        )
        for number in range(dice.randint(1, 8))
    ]
    current: dict[UUID, Moment] = {}
    silences: list[UUID] = []
    steps, at = [], START
    for number in range(dice.randint(1, 16)):
        step = Step(timedelta(minutes=dice.choice(MINUTES)))
        at += step.after
        if dice.random() < 0.2:
            step.orders.append(_order(dice, number, at, silences))
        if dice.random() < 0.15:
            step.acknowledged.append(dice.randrange(4))
        step.moments = [
            _revision(dice, dice.choice(pool), current) for _ in range(dice.choice((0, 1, 1, 2, 4)))
        ]
        steps.append(step)
    return steps


def _revision(dice: Random, chosen: Moment, current: dict[UUID, Moment]) -> Moment:
    """The next revision of a moment, or an earlier one again."""
    known = current.get(chosen.moment_id)
    status = dice.choice(["open", "open", "open", *CLOSED])
    if known is None:
        made = chosen.model_copy(update={"status": status})
    elif dice.random() < 0.15:
        return known.model_copy(update={"revision": dice.randint(1, known.revision)})
    else:
        update = {"status": status, "revision": known.revision + dice.randint(1, 2)}
        made = known.model_copy(update=update)
    current[chosen.moment_id] = made
    return made


def _order(dice: Random, number: int, at: datetime, silences: list[UUID]) -> Order:
    name = UUID(int=number + 1)
    if silences and dice.random() < 0.4:
        return Order(name, "unsilence", at, target=dice.choice(silences))
    silences.append(name)
    until = at + timedelta(minutes=dice.choice([-1, 2, 30, 180]))
    rule, owner = dice.choice(["", "long_queue"]), dice.choice(["", "Service"])
    return Order(name, "silence", at, until=until, rule=rule, owner=owner)


def play(office: Office, step: Step, pieces: Sequence[int] = ()) -> list[Decided]:
    """Let a step happen; in several rounds where it is to be cut into pieces."""
    there = sorted(office.alerts(), key=lambda item: (item.opened_at, item.alert_id))
    orders = list(step.orders)
    for place in step.acknowledged:
        if there:
            alert = there[place % len(there)].alert_id
            made = Order(UUID(int=alert.int ^ 1), "acknowledge", START, alert_id=alert, by="Ann")
            orders.append(made)
    if not pieces:
        return [office.round(*step.moments, orders=orders, after=step.after)]
    decided = [office.round(after=step.after), *(office.round(orders=[it]) for it in orders)]
    begin = 0
    for size in pieces:
        decided.append(office.round(*step.moments[begin : begin + size]))
        begin += size
    return [*decided, office.round(*step.moments[begin:])]


def drain(office: Office) -> Iterator[Step]:
    """Let time pass until nothing is left to do."""
    for _ in range(1_000):
        due = office.desk.next_at()
        if due is None:
            return
        step = Step(max(due - office.now, timedelta(0)))
        play(office, step)
        yield step
    raise AssertionError("there is always something to do")


class Witness:
    """Writes down what is decided, and knows what has to be.

    In one round a moment can join an alert, close it and begin another, and only the last is kept
    of it. So who joined what is looked up in another office that takes every moment by itself.
    """

    def __init__(self, office: Office, other: Office) -> None:
        self.office = office
        self._other = other
        self.latest: dict[UUID, Moment] = {}
        #: Moments of every alert, ever.
        self.members: dict[UUID, set[UUID]] = {}
        self._before: dict[tuple[UUID, str], UUID | None] = {}

    def saw(self, step: Step) -> None:
        for item in step.moments:
            known = self.latest.get(item.moment_id)
            if known is None or item.revision > known.revision:
                self.latest[item.moment_id] = item
        for one in play(self._other, step, [1] * len(step.moments)):
            for verdict in one.seen:
                if verdict.decision == "alerted":
                    assert verdict.alert_id is not None
                    self.members.setdefault(verdict.alert_id, set()).add(verdict.told.moment_id)
        self._check_moments()
        self._check_alerts()

    def _check_moments(self) -> None:
        verdicts, alerts = self.office.verdicts(), self._alerts()
        for moment_id, current in self.latest.items():
            for route in self.office.routing.of(current):
                found = verdicts[moment_id, route.id]
                assert (found.revision, found.status) == (current.revision, current.status)
                if found.decision == "held":
                    assert current.status == "open"
                    assert found.reason in ("silenced", "quiet_hours")
                    assert found.until is not None
                    assert found.until > self.office.now
                elif found.decision == "alerted":
                    assert found.alert_id is not None
                    alert = alerts[found.alert_id]
                    assert alert.route == route.id
                    assert current.status != "open" or alert.closed_at is None
                else:
                    assert (found.reason in REASONS) or current.status != "open"
                    assert found.reason

    def _check_alerts(self) -> None:
        verdicts = self.office.verdicts()
        for alert in self._alerts().values():
            members = self.members[alert.alert_id]
            inside = [verdicts[item, alert.route] for item in members]
            still = [item for item in inside if item.alert_id == alert.alert_id]
            is_open = sum(item.status == "open" and item.decision == "alerted" for item in still)
            assert alert.count == len(members)
            assert alert.open == is_open
            assert (alert.closed_at is not None) == (is_open == 0)

    def check_told(self) -> None:
        """Check what was delivered; everything has been by now."""
        told = by_alert(self.office.delivered)
        alerts = self._alerts()
        assert set(told) == set(alerts)
        for name, alert in alerts.items():
            route = self.office.routing[alert.route]
            assert route is not None
            said = {item.sequence: item.notification for item in told[name]}
            assert list(said) == list(range(1, alert.sequence + 1))
            actions = [item.action for item in said.values()]
            assert actions[0] == "trigger"
            ends = alert.closed_at is not None and route.resolved
            assert actions.count("resolve") == ends
            assert not ends or actions[-1] == "resolve"
            assert actions.count("acknowledge") == (alert.acknowledged_at is not None)
            for destination in route.to:
                mine = [item for item in told[name] if item.destination == destination]
                listed = [one for item in mine for one in item.notification.moment_ids]
                assert sorted(listed) == sorted(self.members[name])
                assert [item.sequence for item in mine] == sorted({it.sequence for it in mine})
                assert mine[0].notification.action == "trigger"
            for destination in alert.destinations:
                first = next(item for item in told[name] if item.destination == destination)
                assert first.notification.action == "trigger"
            self._check_pace(alert.alert_id)

    def _check_pace(self, alert: UUID) -> None:
        mine = [item for item in self.office.delivered if item.alert_id == alert]
        route = self.office.routing[mine[0].notification.route]
        assert route is not None
        for destination in route.to:
            updates = [
                item.created_at
                for item in mine
                if item.destination == destination
                and (item.notification.action == "update" and not item.notification.escalated)
            ]
            for first, second in zip(updates, updates[1:], strict=False):
                assert second - first >= route.update_every

    def _alerts(self) -> dict[UUID, Any]:
        return {item.alert_id: item for item in self.office.alerts()}


def everything(decided: Decided) -> list[Any]:
    """What was decided, as it is kept, in an order of its own."""
    rows = [
        *(journal_rows.of_moment(item, 1) for item in decided.seen),
        *(journal_rows.of_alert(item, acts, 1) for item, acts in decided.alerts),
        *(journal_rows.of_delivery(item, 1) for item in decided.deliveries),
        *(journal_rows.of_order(item, 1) for item in decided.orders),
    ]
    key = ("kind", "id", "part", "sequence")
    return sorted(rows, key=lambda row: [str(row.get(name, "")) for name in key])


@EVERY
@given(seed=SEEDS)
def test_nobody_is_forgotten_and_nobody_is_told_twice(routes: str, seed: int) -> None:
    office = Office(catalog(ROUTES[routes]))
    witness = Witness(office, Office(catalog(ROUTES[routes])))
    for step in program(Random(seed)):
        play(office, step)
        witness.saw(step)
    for step in drain(office):
        witness.saw(step)
    assert not [item for item in office.verdicts().values() if item.decision == "held"]
    witness.check_told()


@EVERY
@given(seed=SEEDS)
def test_a_desk_made_anew_decides_the_same(routes: str, seed: int) -> None:
    dice = Random(seed)
    steady, shaken = Office(catalog(ROUTES[routes])), Office(catalog(ROUTES[routes]))
    for step in program(dice):
        if dice.random() < 0.5:
            shaken.restart()
        for one, other in zip(play(steady, step), play(shaken, step), strict=True):
            assert everything(one) == everything(other)
    shaken.restart()
    for step in drain(steady):
        play(shaken, step)
    assert shaken.desk.next_at() is None
    assert everything(Decided(deliveries=steady.delivered)) == everything(
        Decided(deliveries=shaken.delivered)
    )
    assert steady.kept == shaken.kept


@EVERY
@given(seed=SEEDS)
def test_it_does_not_matter_in_what_pieces_moments_come(routes: str, seed: int) -> None:
    dice = Random(seed)
    whole, cut = Office(catalog(ROUTES[routes])), Office(catalog(ROUTES[routes]))
    for step in program(dice):
        play(whole, step)
        play(cut, step, [dice.randint(1, 3) for _ in range(3)])
        assert whole.verdicts() == cut.verdicts()
        alike = [
            [(it.alert_id, it.count, it.open, it.closed_at, it.escalated_at, it.acknowledged_at,
              it.destinations, it.severity) for it in office.alerts()]
            for office in (whole, cut)
        ]  # fmt: skip
        assert alike[0] == alike[1]
