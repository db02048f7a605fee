"""How fast and how long: circuit, rate, backoff, and the lane that keeps to them."""

from __future__ import annotations

import asyncio
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.alert_queue import AlertQueue
from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.circuit import FAILURES, Circuit, State
from pipeline.alerts.deliveries import Delivery
from pipeline.alerts.pace import LONGEST_BACKOFF, Pace, backoff
from pipeline.alerts.turns import Turns
from schemas.notification import Notification
from tests.unit.courier_office import Office, Post, notification
from tests.virtual_time import BEGIN, run_virtually


def a_circuit() -> tuple[Circuit, list[State]]:
    states: list[State] = []
    return Circuit(Random(1), states.append), states


def opened() -> tuple[Circuit, list[State]]:
    circuit, states = a_circuit()
    for _ in range(FAILURES):
        assert circuit.wait(0) == 0 and not circuit.begin()
        circuit.failed(0, False)
    return circuit, states


def test_a_circuit_opens_after_failures_in_a_row():
    circuit, states = a_circuit()
    for _ in range(20):
        for _ in range(FAILURES - 1):
            circuit.failed(0, False)
        assert not circuit.succeeded()
    assert states == []
    circuit, states = opened()
    assert states == ["open"] and 0 < circuit.wait(0) <= 1


def test_one_probe_goes_through_and_its_success_closes():
    circuit, states = opened()
    assert circuit.begin()
    assert circuit.wait(100) == math.inf
    circuit.failed(100, False)  # one that began before it opened
    assert circuit.state == "half_open"
    assert circuit.succeeded()
    assert circuit.wait(100) == 0
    assert states == ["open", "half_open", "closed"]


def test_a_probe_not_made_leaves_it_open():
    circuit, states = opened()
    circuit.withdraw(circuit.begin())
    assert circuit.wait(2) == 0 and circuit.state == "open"
    assert circuit.begin()


def test_pauses_grow_up_to_a_minute_and_begin_anew():
    circuit, _ = opened()
    now, pauses = 0.0, []
    for _ in range(12):
        pauses.append(circuit.wait(now))
        now += pauses[-1]
        circuit.failed(now, circuit.begin())
    assert pauses[0] < pauses[2] < pauses[4] and 45 <= pauses[-1] <= 60
    circuit.begin()
    circuit.succeeded()
    for _ in range(FAILURES):
        circuit.failed(now, False)
    assert circuit.wait(now) <= 1


@given(
    st.integers(1, 200),
    st.lists(st.sampled_from([0.0, 0.5, 7.0, 61.0]), min_size=20, max_size=40),
)
def test_never_more_than_the_rate_in_any_minute(per_minute, waits):
    pace, now, gone = Pace(per_minute, 0.0), 0.0, []
    for wait in waits:
        now += wait
        for _ in range(20):
            now += pace.wait(now)
            assert pace.wait(now) == 0
            pace.take(now)
            gone.append(now)
    for end, at in enumerate(gone[per_minute:], per_minute):
        assert at - gone[end - per_minute] >= 60 - 1e-3


def test_what_does_not_go_leaves_its_place_and_a_hold_holds():
    pace = Pace(1, 0.0)
    pace.take(0)
    assert pace.wait(0) == 60
    pace.give_back()
    assert pace.wait(0) == 0
    pace.hold(0, 10)
    pace.hold(0, 5)
    assert pace.wait(0) == 10


def test_who_waits_anew_waits_to_the_end():
    turns = Turns()
    said = notification("a", 1)
    queue = AlertQueue(Delivery(said.alert_id, 1, "post", said, BEGIN))
    turns.queues[said.alert_id] = queue
    turns.wait(queue, 0, 5, asked=False)
    turns.release_all()  # the destination is back
    assert turns.first() is queue
    turns.wait(queue, 1, 10, asked=True)
    turns.release(6)  # when the first wait would have been over
    turns.release_next()
    turns.release_all()  # who was asked to wait does
    assert turns.first() is None
    assert turns.next_due() == 11
    turns.release(11)
    assert turns.first() is queue


@given(st.integers(0, 10_000), st.integers())
def test_backoff_is_between_nothing_and_its_bound(attempts, seed):
    wait = backoff(attempts, Random(seed))
    assert 0 <= wait <= min(0.5 * 2 ** min(max(attempts - 1, 0), 20), LONGEST_BACKOFF)


def test_a_destination_gets_no_more_than_its_rate_and_updates_that_wait_are_left_out():
    async def main() -> None:
        office = Office(settings={"post": {"per_minute": 6}})
        office.put(*(notification(alert, 1) for alert in range(6)))
        async with office.running():
            await asyncio.sleep(1)
            for sequence in range(2, 100):
                office.put(notification(0, sequence, "update"))
                await asyncio.sleep(0.5)
            await office.courier.drained()
        times = [taken.at for taken in office.post.taken]
        assert all(later - earlier > 9.9 for earlier, later in zip(times, times[1:], strict=False))
        told = {moment for taken in office.post.taken for moment in taken.moment_ids}
        assert len(told) == 6 + 98
        assert len(times) < 10

    run_virtually(main())


def test_while_the_circuit_is_open_only_probes_go_and_those_in_wait_go_at_once_after():
    async def main() -> None:
        async def down(post: Post, notification: Notification) -> Answer:
            if asyncio.get_running_loop().time() < 3600:
                raise DeliveryError("no connection")
            return Answer()

        office = Office({"post": Post(down)})
        office.put(*(notification(alert, 1) for alert in range(50)))
        async with office.running():
            await asyncio.sleep(3590)
            tries = len(office.post.tries)
            assert 60 < tries < 100  # one a minute
            attempts = [line.attempts for write in office.outbox.writes for line in write]
            assert max(attempts) < 20
            await office.courier.drained()
        first = min(taken.at for taken in office.post.taken)
        assert first < 3665
        assert max(taken.at for taken in office.post.taken) < first + 2
        assert office.events.circuits[0] == "open" and office.events.circuits[-1] == "closed"

    run_virtually(main())


@pytest.mark.parametrize("alerts", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_few_that_failed_often_are_told_soon_after_all(seed, alerts):
    async def main() -> None:
        async def down(post: Post, notification: Notification) -> Answer:
            if asyncio.get_running_loop().time() < 3600:
                raise DeliveryError("no connection")
            return Answer()

        office = Office({"post": Post(down)}, seed=seed)
        office.put(*(notification(alert, 1) for alert in range(alerts)))
        await office.drain()
        # Their own waits have grown to up to 300 s; the circuit's pause is a minute at most.
        last = max(taken.at for taken in office.post.taken)
        assert last < 3661
        assert last - min(taken.at for taken in office.post.taken) < 1

    run_virtually(main())


def test_a_refusal_is_an_answer_and_opens_no_circuit():
    async def main() -> None:
        async def refuse(post: Post, notification: Notification) -> Answer:
            raise DeliveryError("malformed", status=400, permanent=True)

        office = Office({"post": Post(refuse)})
        office.put(*(notification(alert, 1) for alert in range(50)))
        await office.drain()
        assert office.events.circuits == []
        assert office.events.counts["dead"] == 50

    run_virtually(main())


def test_waits_as_long_as_asked():
    async def main() -> None:
        async def later(post: Post, notification: Notification) -> Answer:
            if asyncio.get_running_loop().time() < 90:
                raise DeliveryError("slow down", status=429, retry_after=90)
            return Answer()

        office = Office({"post": Post(later)})
        office.put(notification("a", 1))
        async with office.running():
            await asyncio.sleep(1)
            office.put(notification("b", 1))
            await office.courier.drained()
        assert [round(at) for at in office.post.tries] == [0, 60, 120, 150]
        assert office.events.counts["throttled"] == 2

    run_virtually(main())
