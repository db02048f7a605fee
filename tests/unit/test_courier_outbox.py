"""The courier and its outbox: what is written and read back, and whether it may write at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.deliveries import Delivery
from pipeline.errors import FatalError, RetryableError
from schemas.notification import Notification
from tests.unit.courier_office import Office, Post, an_id, notification
from tests.virtual_time import BEGIN, run_virtually


def now() -> float:
    return asyncio.get_running_loop().time()


def test_stops_quietly_while_it_may_not_send():
    async def main() -> None:
        office = Office(settings={"post": {"give_up": "1m"}})
        office.allowed = False
        office.put(notification("a", 1))
        async with office.running():
            await asyncio.sleep(100)
            assert not office.post.tries and not office.outbox.writes
            office.put(notification("b", 1))
            office.allowed = True
            await office.courier.drained()
        assert office.outbox.status("a") == ["dead"]  # decided when it was allowed again
        assert office.outbox.status("b") == ["sent"]

    run_virtually(main())


def test_what_fails_after_the_right_to_send_is_lost_is_neither_noted_nor_given_up():
    async def main() -> None:
        async def lose(post: Post, notification: Notification) -> Answer:
            if len(post.tries) == 1:
                office.allowed = False
                raise DeliveryError("gone", status=410, permanent=True)
            return Answer()

        office = Office({"post": Post(lose)})
        office.put(notification("a", 1))
        async with office.running():
            await asyncio.sleep(100)
            assert not office.outbox.writes
            office.allowed = True
            await office.courier.drained()
        assert office.outbox.status("a") == ["sent"]

    run_virtually(main())


def test_a_process_that_stood_still_writes_nothing_until_it_may_send_again():
    async def main() -> None:
        async def freeze(post: Post, notification: Notification) -> Answer:
            office.allowed = notification.sequence != 1
            return Answer()

        office = Office({"post": Post(freeze)})
        office.put(notification("a", 1), notification("a", 2, "resolve"))
        async with office.running():
            await asyncio.sleep(100)
            assert office.post.sequences("a") == [1] and not office.outbox.writes
            office.allowed = True
            await office.courier.drained()
        assert office.post.sequences("a") == [1, 2]

    run_virtually(main())


def test_the_right_to_send_lost_at_the_last_moment_costs_nothing():
    async def main() -> None:
        async def down(post: Post, notification: Notification) -> Answer:
            if len(post.tries) <= 5:
                raise DeliveryError("no connection")
            return Answer()

        office = Office({"post": Post(down)}, {"post": {"per_minute": 19}})

        def may_send() -> bool:  # not when the probe has been begun, and is to be sent
            return office.events.circuits != ["open", "half_open"]

        office.put(notification("a", 1))
        async with office.running():
            while len(office.post.tries) < 5:
                await asyncio.sleep(0.1)
            began = now()
            office.may_send = may_send
            await office.courier.drained()
            assert office.events.circuits == ["open", "half_open", "open", "half_open", "closed"]
            assert now() < began + 60 / 19 + 1

    run_virtually(main())


def test_outcomes_are_written_many_at_a_time_and_again_where_the_outbox_refuses():
    async def main() -> None:
        office = Office()

        async def refuse() -> None:
            if now() < 30:
                raise RetryableError("no connection")

        office.outbox.before = refuse
        office.put(*(notification(alert, 1) for alert in range(2500)))  # more than one write takes
        await office.drain()
        assert len(office.post.taken) == 2500
        assert len(office.outbox.writes) < 20

    run_virtually(main())


def test_any_other_error_of_the_outbox_ends_the_courier():
    async def main() -> None:
        office = Office()

        async def refuse() -> None:
            raise FatalError("no such table")

        office.outbox.before = refuse
        office.put(notification("a", 1))
        with pytest.raises(FatalError, match="no such table"):
            async with office.running():
                await asyncio.sleep(10)

    run_virtually(main())


def test_failures_of_one_delivery_are_written_now_and_then():
    async def main() -> None:
        async def one_fails(post: Post, said: Notification) -> Answer:
            if said.alert_id == an_id("bad") and now() < 100:
                raise DeliveryError("busy", status=503)
            return Answer()

        office = Office({"post": Post(one_fails)})
        office.put(notification("bad", 1))
        async with office.running():
            for alert in range(100):
                office.put(notification(alert, 1))
                await asyncio.sleep(1)
            await office.courier.drained()
        lines = [line for write in office.outbox.writes for line in write]
        bad = [line for line in lines if line.alert_id == an_id("bad")]
        assert [line.status for line in bad[:-1]] == ["pending"] * (len(bad) - 1)
        assert bad[0].attempts == 1 and bad[0].next_at is not None and bad[0].detail == "busy"
        assert len(bad) <= 1 + 1 + 3 < bad[-1].attempts

    run_virtually(main())


def test_the_next_try_is_kept_over_a_restart():
    async def main() -> None:
        async def later(post: Post, notification: Notification) -> Answer:
            if now() < 40:
                raise DeliveryError("slow down", status=429, retry_after=50)
            return Answer()

        office = Office({"post": Post(later)})
        office.put(notification("a", 1))
        async with office.running():
            await asyncio.sleep(10)
        office.restart()
        await office.drain()
        assert [round(at) for at in office.post.tries] == [0, 50]

    run_virtually(main())


def test_what_ended_is_known_from_the_outbox():
    async def main() -> None:
        office = Office()
        office.put(notification("a", 1), notification("b", 1), notification("b", 2, "update"))
        lines = {(line.alert_id, line.sequence): line for line in office.outbox.lines.values()}
        sent = Delivery(an_id("a"), 2, "post", notification("a", 2, "resolve"), BEGIN, "sent")
        dead = replace(lines[an_id("b"), 1], status="dead")
        office.courier = office.new_courier()
        office.courier.put([lines[an_id("a"), 1], sent])  # it would come after the resolve
        office.courier.put([dead, replace(lines[an_id("b"), 2], status="sent")])
        office.courier.put([dead])  # again, and older than what is known
        office.put(notification("b", 3, "resolve"))
        await office.drain()
        assert [(taken.alert, taken.sequence) for taken in office.post.taken] == [(an_id("b"), 3)]

    run_virtually(main())


def test_what_was_dead_is_told_again_when_asked():
    async def main() -> None:
        async def refuse(post: Post, notification: Notification) -> Answer:
            if now() < 10:
                raise DeliveryError("malformed", status=400, permanent=True)
            return Answer()

        office = Office({"post": Post(refuse)})
        office.put(notification("a", 1), notification("a", 2, "resolve"))
        async with office.running():
            await office.courier.drained()
            assert office.outbox.status("a") == ["dead", "skipped"]
            await asyncio.sleep(10)
            again = [replace(line, status="pending") for line in office.outbox.lines.values()]
            office.outbox.lines |= {line.delivery_id: line for line in again}
            office.courier.again(again)
            await office.courier.drained()
        assert office.outbox.status("a") == ["sent", "sent"]
        assert office.post.sequences("a") == [1, 2]

    run_virtually(main())


def test_put_twice_is_sent_once():
    async def main() -> None:
        office = Office()
        once = notification("a", 1)
        office.put(once)
        office.put(once, notification("b", 1))
        async with office.running():
            await office.courier.drained()
            office.courier.put(office.outbox.lines.values())  # known to have ended
            office.put(once)  # and so as if pending
            await asyncio.sleep(10)
        assert len(office.post.taken) == 2
        with pytest.raises(RuntimeError, match="runs once"):
            await office.courier.run()

    run_virtually(main())


def test_a_destination_that_there_is_none_of_is_said_and_holds_up_nothing(caplog):
    async def main() -> None:
        office = Office()
        office.put(notification("a", 1), to="gone")
        office.put(notification("a", 1))
        await office.drain()
        assert office.outbox.status("a", "gone") == ["pending"]
        assert office.outbox.status("a") == ["sent"]

    run_virtually(main())
    assert "gone" in caplog.text
