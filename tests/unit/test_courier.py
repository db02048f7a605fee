"""The courier in one life: order, repeats, what is left out, what is given up."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from pipeline.alerts.answers import Answer, DeliveryError
from schemas.notification import Notification
from tests.unit.courier_office import Office, Post, an_id, notification, told
from tests.virtual_time import BEGIN, run_virtually


def now() -> float:
    return asyncio.get_running_loop().time()


def test_what_is_put_is_sent_in_order_and_recorded():
    async def main() -> None:
        office = Office()
        office.put(
            notification("a", 3, "resolve"),
            notification("a", 1),
            notification("b", 1, moments=[told(BEGIN - timedelta(seconds=9))]),
            notification("a", 2, "acknowledge"),
            age=7,
        )
        await office.drain()
        assert office.post.sequences("a") == [1, 2, 3]
        assert office.post.sequences("b") == [1]
        assert office.courier.waiting() == {"post": 0}
        line = office.outbox.lines[office.post.taken[0].delivery]
        assert (line.status, line.attempts, line.http_status) == ("sent", 1, 202)
        assert line.detail == "thanks"
        assert line.ended_at is not None and line.ended_at - BEGIN < timedelta(seconds=1)
        assert [(round(w), s and round(s)) for w, s in office.events.times][:2] == [
            (7, None),
            (7, 9),
        ]

    run_virtually(main())


def test_the_next_is_sent_only_when_the_outcome_before_is_written():
    async def main() -> None:
        office = Office()
        written = asyncio.Event()
        office.outbox.before = written.wait
        office.put(notification("a", 1), notification("a", 2, "resolve"))
        async with office.running():
            await asyncio.sleep(600)
            assert office.post.sequences("a") == [1]
            written.set()
            await office.courier.drained()
        assert office.post.sequences("a") == [1, 2]

    run_virtually(main())


def test_three_of_ten_tries_fail_and_everything_arrives_in_order():
    async def main() -> None:
        office = Office()

        async def flaky(post: Post, notification: Notification) -> Answer:
            await asyncio.sleep(office.random.uniform(0, 0.2))
            if office.random.random() < 0.3:
                raise DeliveryError("busy", status=503)
            return Answer(200)

        office.post.behave = flaky
        alerts = range(100)
        for alert in alerts:
            office.put(
                notification(alert, 1),
                notification(alert, 2, "acknowledge"),
                notification(alert, 3, "resolve"),
            )
        await office.drain()
        assert all(office.post.sequences(alert) == [1, 2, 3] for alert in alerts)
        assert office.events.counts["http_5xx"] > 50
        assert office.post.most_at_once == 8
        tried = sum(line.attempts for line in office.outbox.lines.values())
        assert tried == len(office.post.tries)

    run_virtually(main())


def test_down_for_ten_minutes_then_all_arrive_in_order_soon():
    async def main() -> None:
        office = Office()

        async def down(post: Post, notification: Notification) -> Answer:
            if now() < 600:
                raise DeliveryError("no connection")
            return Answer(200)

        office.post.behave = down
        for alert in range(20):
            office.put(notification(alert, 1), notification(alert, 2, "resolve"))
        await office.drain()
        assert all(office.post.sequences(alert) == [1, 2] for alert in range(20))
        assert now() < 600 + 70  # the longest pause of the circuit, and not of a delivery
        # Hardly anything was sent meanwhile, nor written about it.
        assert len(office.post.tries) < 5 + 20 + 40
        assert sum(line.status == "pending" for w in office.outbox.writes for line in w) < 45

    run_virtually(main())


def test_a_hanging_destination_delays_no_other():
    async def main() -> None:
        async def hang(post: Post, notification: Notification) -> Answer:
            await asyncio.sleep(1e6)
            return Answer()

        office = Office({"post": Post(hang), "other": Post()}, {"post": {"timeout": "3s"}})
        for alert in range(50):
            office.put(notification(alert, 1))
            office.put(notification(alert, 1), to="other")
        async with office.running():
            await asyncio.sleep(2)
            assert len(office.posts["other"].taken) == 50
            assert office.courier.waiting() == {"post": 50, "other": 0}
            assert office.post.at_once == 8
            await asyncio.sleep(7)  # the limit and the grace are over: all eight were cut off
            assert office.events.counts["timeout"] == 8
        assert office.post.at_once == 0  # and what hung when the courier stopped, too

    run_virtually(main())


def test_stopping_waits_neither_for_a_try_nor_for_a_sender_that_clings():
    async def main() -> None:
        async def cling(post: Post, notification: Notification) -> Answer:
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                await asyncio.sleep(30)
            return Answer()

        office = Office({"post": Post(cling)})
        office.put(notification("a", 1))
        async with office.running():
            await asyncio.sleep(1)
        assert now() < 3
        await asyncio.sleep(60)  # it ends at last, and says that it was sent
        assert office.outbox.status("a") == ["pending"]

    run_virtually(main())


def test_a_sender_that_cleans_up_is_waited_for():
    async def main() -> None:
        async def careful(post: Post, notification: Notification) -> Answer:
            try:
                await asyncio.sleep(1e6)
            finally:
                await asyncio.sleep(0.3)
            return Answer()

        office = Office({"post": Post(careful)})
        office.put(notification("a", 1))
        async with office.running():
            await asyncio.sleep(1)
        assert office.post.at_once == 0  # its connections can be closed now

    run_virtually(main())


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("x"), asyncio.CancelledError()])
def test_whatever_a_sender_raises_is_a_failure_and_is_not_quoted(error, caplog):
    async def main() -> None:
        async def crash(post: Post, notification: Notification) -> Answer:
            if len(post.tries) < 3:
                raise error
            return Answer()

        office = Office({"post": Post(crash)})
        office.put(notification("a", 1))
        await office.drain()
        assert office.outbox.status("a") == ["sent"]
        assert office.events.counts["crashed"] == 2
        assert "secret" not in str(office.outbox.writes) + caplog.text

    run_virtually(main())


def test_untried_updates_are_left_out_and_their_moments_told_by_the_next():
    async def main() -> None:
        gate = asyncio.Event()

        async def slow(post: Post, notification: Notification) -> Answer:
            await gate.wait()
            return Answer()

        office = Office({"post": Post(slow)}, {"post": {"timeout": "1h"}})
        office.put(notification("a", 1))
        async with office.running():
            await asyncio.sleep(1)
            office.put(notification("a", 2, "update", escalated=True))
            office.put(notification("a", 3, "update"))
            office.put(notification("a", 4, "acknowledge"))
            office.put(notification("a", 5, "update"))
            office.put(notification("a", 6, "resolve", moment_ids=[an_id(("a", 5)), an_id("x")]))
            assert office.courier.waiting() == {"post": 3}
            gate.set()
            await office.courier.drained()
        assert office.post.sequences("a") == [1, 4, 6]
        said = [taken.moment_ids for taken in office.post.taken]
        assert said[1] == tuple(an_id(("a", n)) for n in (2, 3, 4))
        assert said[2] == (an_id(("a", 5)), an_id("x"))
        statuses = ["sent", "superseded", "superseded", "sent", "superseded", "sent"]
        assert office.outbox.status("a") == statuses
        assert office.events.counts["superseded"] == 3
        # An update is written off together with the outcome of what stands for it, before it.
        for write in office.outbox.writes:
            if any(line.status == "superseded" for line in write):
                assert [line.status for line in write].index("sent") > 0

    run_virtually(main())


def test_an_update_that_was_tried_is_not_left_out():
    async def main() -> None:
        async def second_try(post: Post, notification: Notification) -> Answer:
            if len(post.tries) == 1:
                raise DeliveryError("busy", status=503, retry_after=50)
            return Answer()

        office = Office({"post": Post(second_try)})
        office.put(notification("a", 1, "update"))
        async with office.running():
            await asyncio.sleep(1)
            office.put(notification("a", 2, "update"))
            await office.courier.drained()
        assert office.post.sequences("a") == [1, 2]

    run_virtually(main())


def test_a_thousand_moments_are_told_of_updates_left_out():
    async def main() -> None:
        office = Office()
        first, second = ([an_id((n, m)) for m in range(700)] for n in (1, 2))
        office.put(
            notification("a", 1, "update", moment_ids=first),
            notification("a", 2, "update", moment_ids=second),
        )
        await office.drain()
        assert office.post.taken[0].moment_ids == tuple([*first, *second][:1000])

    run_virtually(main())


def test_nothing_is_taken_back_where_nothing_was_taken():
    async def main() -> None:
        async def refuse(post: Post, notification: Notification) -> Answer:
            if notification.action == "trigger":
                raise DeliveryError("malformed", status=400, permanent=True)
            return Answer()

        office = Office({"post": Post(refuse)})
        office.put(notification("a", 1), notification("a", 2, "update"))
        office.put(notification("b", 1), notification("c", 1, "update"))
        async with office.running():
            await office.courier.drained()
            for alert in "abc":
                office.put(notification(alert, 3, "resolve"))
            await office.courier.drained()
        assert office.outbox.status("a") == ["dead", "sent", "sent"]
        assert office.outbox.status("b") == ["dead", "skipped"]
        assert office.outbox.status("c") == ["sent", "sent"]
        # After a restart it is known as well, from the lines that ended.
        office.restart()
        office.put(notification("d", 1))
        await office.drain()
        office.restart()
        office.put(notification("d", 2, "resolve"))
        await office.drain()
        assert office.outbox.status("d") == ["dead", "skipped"]
        assert office.events.counts["skipped"] == 2
        assert office.events.counts["dead"] == office.events.counts["refused"] == 3

    run_virtually(main())


def test_what_is_not_taken_in_time_is_a_dead_letter_and_the_next_goes_on():
    async def main() -> None:
        async def down(post: Post, notification: Notification) -> Answer:
            if now() < 4000:
                raise DeliveryError("no connection")
            return Answer()

        office = Office({"post": Post(down)}, {"post": {"give_up": "1h"}})
        for alert in range(30):
            office.put(notification(alert, 1))
        async with office.running():
            await asyncio.sleep(3500)
            office.put(notification("late", 1))
            await asyncio.sleep(150)  # also those that nobody got round to trying
            assert office.events.counts["dead"] == 30
            await office.courier.drained()
        dead = [line for line in office.outbox.lines.values() if line.status == "dead"]
        assert {line.detail for line in dead} <= {"no connection", "was not tried in time"}
        assert {line.detail for line in dead if line.attempts} == {"no connection"}
        assert office.outbox.status("late") == ["sent"]

    run_virtually(main())
