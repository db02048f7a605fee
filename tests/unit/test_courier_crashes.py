"""The courier over many lives: whatever goes wrong when, the outbox and the destinations agree."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.deliveries import Delivery
from pipeline.errors import RetryableError
from schemas.notification import Action, Notification
from tests.unit.courier_office import Behaviour, Office, Post, an_id, notification
from tests.virtual_time import run_virtually

ALERTS = 3
#: put: something new of an alert; wait: time passes; crash: the courier is cancelled, and another
#: takes up the outbox; frozen: nothing may be sent for a while.
STEPS = st.one_of(
    st.tuples(st.just("put"), st.integers(0, ALERTS - 1)),
    st.tuples(st.just("wait"), st.sampled_from([0, 0.01, 0.035, 0.1, 1, 20])),
    st.tuples(st.just("crash"), st.just(0)),
    st.tuples(st.just("frozen"), st.sampled_from([0.1, 3])),
)


class Walk:
    """Puts what an alert may say next, into every destination."""

    def __init__(self, office: Office, random: Random) -> None:
        self.office = office
        self.random = random
        self.sequences: dict[int, int] = defaultdict(int)
        self.resolved: set[int] = set()

    def put(self, alert: int) -> None:
        if alert in self.resolved:
            return
        self.sequences[alert] += 1
        action = self._action(alert)
        if action == "resolve":
            self.resolved.add(alert)
        ids = [an_id((alert, self.sequences[alert], n)) for n in range(self.random.randrange(3))]
        said = notification(alert, self.sequences[alert], action, moment_ids=ids)
        for post in self.office.posts:
            self.office.put(said, to=post)

    def _action(self, alert: int) -> Action:
        if self.sequences[alert] == 1:
            return "trigger"
        actions: list[Action] = ["update", "update", "update", "acknowledge", "resolve"]
        return self.random.choice(actions)

    async def go(self, steps: list[tuple[str, float]]) -> None:
        """Take the steps, each in the life of some courier, and end with everything mended."""
        left = list(steps)
        while left:
            async with self.office.running():
                while left:
                    what, how = left.pop(0)
                    if what == "crash":
                        break
                    await self._step(what, how)
            self.office.restart()

    async def _step(self, what: str, how: float) -> None:
        if what == "put":
            self.put(int(how))
        else:
            self.office.allowed = what == "wait"
            await asyncio.sleep(how)
            self.office.allowed = True


def mishaps(random: Random, chances: dict[str, float]) -> Behaviour:
    """Take some time; then take it, refuse it, or take it and not say so."""

    async def behave(post: Post, said: Notification) -> Answer:
        await asyncio.sleep(random.choice([0, 0, 0.01, 0.5]))
        mishap = random.choices([*chances, "none"], [*chances.values(), 1 - sum(chances.values())])
        if mishap == ["fails"]:
            raise DeliveryError("busy", status=503, retry_after=random.choice([None, None, 2.0]))
        if mishap == ["refused"]:
            raise DeliveryError("malformed", status=400, permanent=True)
        if mishap == ["lost"]:  # it came, and the answer did not
            post.got(said, an_id("unknown"))
            raise DeliveryError("no answer")
        if mishap == ["hangs"]:
            post.got(said, an_id("unknown"))
            await asyncio.sleep(1e5)
        return Answer(200)

    return behave


def unreliable(office: Office, random: Random) -> None:
    """Let the outbox refuse, be slow, and write what it says that it did not."""

    async def trouble() -> None:
        await asyncio.sleep(random.choice([0, 0, 0.02, 0.3]))
        if random.random() < 0.2:
            raise RetryableError("no connection")

    office.outbox.before = office.outbox.after = trouble


async def walk(steps: list[tuple[str, float]], seed: int, chances: dict[str, float]) -> Office:
    random = Random(seed)
    office = Office({name: Post(mishaps(random, chances)) for name in ("post", "other")}, seed=seed)
    unreliable(office, random)
    await Walk(office, random).go(steps)
    for post in office.posts.values():
        post.behave = mishaps(random, {})
    await office.drain()
    return office


def by_alert(office: Office, name: str) -> dict[UUID, list[Delivery]]:
    lines: dict[UUID, list[Delivery]] = defaultdict(list)
    for line in sorted(office.outbox.lines.values(), key=lambda line: line.sequence):
        if line.destination == name:
            lines[line.alert_id].append(line)
    return lines


def assert_never_backwards(office: Office) -> None:
    """What a destination got of an alert never goes back, and nothing comes after the resolve."""
    for post in office.posts.values():
        for alert in {taken.alert for taken in post.taken}:
            taken = [t for t in post.taken if t.alert == alert]
            sequences = [t.sequence for t in taken]
            assert sequences == sorted(sequences)
            actions = [t.action for t in taken]
            if "resolve" in actions:
                assert set(actions[actions.index("resolve") :]) == {"resolve"}


@given(st.lists(STEPS, min_size=10, max_size=60), st.integers(0, 2**32))
def test_everything_arrives_in_order_whatever_fails(steps, seed):
    office = run_virtually(walk(steps, seed, {"fails": 0.3, "lost": 0.1, "hangs": 0.05}))
    assert_never_backwards(office)
    for name, post in office.posts.items():
        taken = {(t.alert, t.sequence) for t in post.taken}
        told = {moment for t in post.taken for moment in t.moment_ids}
        for lines in by_alert(office, name).values():
            assert {line.status for line in lines} <= {"sent", "superseded"}
            assert lines[-1].status == "sent"
            for line in lines:
                if line.status == "sent":
                    assert (line.alert_id, line.sequence) in taken
                else:
                    assert line.notification.action == "update"
                assert set(line.notification.moment_ids) <= told


@given(st.lists(STEPS, min_size=10, max_size=60), st.integers(0, 2**32))
def test_dead_letters_hold_up_nothing_and_are_not_taken_back(steps, seed):
    office = run_virtually(walk(steps, seed, {"fails": 0.2, "refused": 0.3, "hangs": 0.05}))
    assert_never_backwards(office)
    for name, post in office.posts.items():
        taken = {(t.alert, t.sequence) for t in post.taken}
        for lines in by_alert(office, name).values():
            for line in lines:
                assert line.status != "pending"
                assert line.status != "sent" or (line.alert_id, line.sequence) in taken
            dead = lines[0].status == "dead"
            nothing = dead and not any(line.status == "sent" for line in lines[:-1])
            if lines[-1].notification.action == "resolve":
                assert (lines[-1].status == "skipped") == nothing
            assert not any(line.status == "skipped" for line in lines[:-1])


@given(st.integers(0, 2**32))
def test_one_life_repeats_nothing(seed):
    async def main() -> Office:
        random = Random(seed)
        office = Office({"post": Post(mishaps(random, {"fails": 0.3}))})
        unreliable(office, random)
        async with office.running():
            walk = Walk(office, random)
            for _ in range(30):
                walk.put(random.randrange(ALERTS))
                await asyncio.sleep(random.choice([0, 0.1, 3]))
            await office.courier.drained()
        return office

    office = run_virtually(main())
    deliveries = [taken.delivery for taken in office.post.taken]
    assert len(deliveries) == len(set(deliveries))
    assert {line.status for line in office.outbox.lines.values()} <= {"sent", "superseded"}
    told = {moment for taken in office.post.taken for moment in taken.moment_ids}
    for line in office.outbox.lines.values():
        assert set(line.notification.moment_ids) <= told
    ended: dict[UUID, Delivery] = {}
    for line in (line for write in office.outbox.writes for line in write):
        # Nothing is written after an outcome, unless once more because the answer was lost.
        assert ended.get(line.delivery_id, line) == line
        if line.status != "pending":
            ended[line.delivery_id] = line
    assert_never_backwards(office)
