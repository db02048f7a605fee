"""The consumer's promises, against a partition that is fetched, sought and reassigned at random."""

import asyncio
from time import time

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from mode import Service

from pipeline.chunks import Chunk, _chunks
from pipeline.errors import FatalError
from pipeline.transport import Consumer
from pipeline.worker import Worker

PLACE = TP("t", 0)


class Monitor:
    def track_tp_end_offset(self, tp, offset):
        assert tp == PLACE

    def on_tp_commit(self, offsets):
        self.committed = offsets


class Thread(Service):
    """In place of the thread that talks to Kafka."""


class Threadless(Consumer):
    def _new_consumer_thread(self):
        return Thread()


@pytest.fixture(autouse=True, scope="module")
def loop():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()


def run(work):
    return asyncio.get_event_loop().run_until_complete(work)


def consumer_of(log):
    """A consumer whose thread is replaced by ``log``; everything under test is the real code."""
    loop = asyncio.get_event_loop()
    app = Worker("test", broker="aiokafka://127.0.0.1:1", store="memory://", loop=loop)
    consumer = Threadless(
        app.transport,
        callback=lambda message: None,
        on_partitions_revoked=lambda revoked: None,
        on_partitions_assigned=lambda assigned: None,
        loop=loop,
    )
    app.monitor = Monitor()
    consumer.seek = log.seek
    consumer.earliest_offsets = log.earliest_offsets
    consumer.highwater = lambda tp: log.end
    consumer._commit = log.commit
    return consumer


class Log:
    """One partition: offsets that exist, a fetch position, what was committed."""

    def __init__(self, offsets):
        self.offsets = sorted(offsets)
        self.end = max(offsets, default=-1) + 1
        self.position = 0
        self.first = 0
        self.committed = {}
        self.commits = True

    async def seek(self, tp, offset):
        self.position = offset

    async def earliest_offsets(self, tp):
        return {tp: self.first}

    async def commit(self, offsets):
        if self.commits:
            self.committed.update(offsets)
        return self.commits

    def fetch(self, size):
        begin = max(self.position, self.first)
        found = [offset for offset in self.offsets if offset >= begin][:size]
        self.position = found[-1] + 1 if found else self.end
        return Chunk("t", 0, begin, self.position, found)


@given(st.sets(st.integers(0, 60)), st.data())
def test_delivery_is_contiguous_whatever_strays(offsets, data):
    log = Log(offsets)
    consumer = consumer_of(log)
    consumer._expected[PLACE] = 0
    got = []

    async def deliver(chunk):
        if await consumer._accept(PLACE, chunk):
            got.extend(chunk.records)

    async def strayed():
        stale = []
        for _ in range(40):
            act = data.draw(st.sampled_from(["fetch", "fetch", "stray", "stale", "moved"]))
            if act == "fetch":
                chunk = log.fetch(data.draw(st.integers(1, 7)))
                stale.append(chunk)
                await deliver(chunk)
            elif act == "stray":  # fetched, and lost on its way to the agent
                stale.append(log.fetch(3))
            elif act == "stale" and stale:
                await deliver(data.draw(st.sampled_from(stale)))
            elif act == "moved":
                log.position = data.draw(st.integers(0, log.end))
        while consumer._expected[PLACE] < log.end:
            await deliver(log.fetch(9))

    run(strayed())
    assert got == log.offsets


def test_what_retention_deleted_is_said_and_passed(caplog):
    log = Log(range(100))
    consumer = consumer_of(log)
    consumer._expected[PLACE] = 10
    log.first = 40

    assert run(consumer._accept(PLACE, log.fetch(5)))
    assert "offsets 10 to 39 were deleted" in caplog.text
    assert consumer._expected[PLACE] == 45


def test_nothing_is_delivered_before_the_assignment_is_settled():
    log = Log(range(10))
    consumer = consumer_of(log)
    assert not run(consumer._accept(PLACE, log.fetch(5)))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=10), st.data())
def test_only_what_was_processed_in_this_assignment_is_committed(sizes, data):
    log = Log(range(sum(sizes)))
    consumer = consumer_of(log)
    consumer._expected[PLACE] = 0
    safe = 0
    for size in sizes:
        chunk = log.fetch(size)
        message = consumer._to_message(PLACE, chunk)
        assert run(consumer._accept(PLACE, chunk))
        consumer.ack(message)  # what Faust does when the agent moves on: decides nothing
        act = data.draw(st.sampled_from(["processed", "revoked", "commit fails"]))
        if act == "revoked":
            consumer._forget()
            consumer._expected[PLACE] = chunk.end
        assert consumer.is_current(message.value) == (act != "revoked")
        log.commits = act != "commit fails"
        consumer.processed(message.value)
        run(consumer.force_commit())
        if act == "processed":
            safe = chunk.end
        assert log.committed.get(PLACE, 0) == safe
        if act == "commit fails":
            log.commits = True
            run(consumer.force_commit())
            safe = chunk.end
            assert log.committed[PLACE] == safe


def test_positions_without_records_still_move():
    before, after = {PLACE: 5}, {PLACE: 9}
    assert _chunks(before, after, {}) == {PLACE: [Chunk("t", 0, 5, 9, [])]}
    assert _chunks(before, before, {}) == {}
    assert _chunks({}, after, {}) == {}


@pytest.mark.parametrize("delivered", [True, False])
def test_stock_gap_bookkeeping_is_off(delivered):
    consumer = consumer_of(Log(range(3)))
    run(consumer._add_gap(PLACE, 0, 5))
    assert not consumer._gap


def test_a_commit_that_is_refused_for_good_ends_the_worker():
    consumer = consumer_of(Log(range(3)))
    consumer._expected[PLACE] = 0
    consumer._processed[PLACE] = 2
    crashes = []

    async def refuse(offsets):
        raise TopicAuthorizationFailedError

    async def crash(error):
        crashes.append(error)

    consumer._commit = refuse
    consumer.app.crash = crash
    assert not run(consumer.force_commit())
    assert isinstance(crashes[0], TopicAuthorizationFailedError)


def test_positions_that_kafka_does_not_tell_end_the_worker():
    consumer = consumer_of(Log(range(3)))
    consumer.app.conf.broker_request_timeout = 0.05

    async def never():
        await asyncio.Event().wait()

    consumer._seek_all = never
    with pytest.raises(FatalError, match="did not tell the positions"):
        run(consumer.perform_seek())


def test_who_looks_while_positions_are_asked_sees_none_or_all(monkeypatch):
    consumer = consumer_of(Log(range(3)))
    partitions = [TP("t", 0), TP("t", 1)]
    seen = []

    async def stock(self):
        self._committed_offset.update(dict.fromkeys(partitions, 7))

    async def position(tp):
        seen.append(consumer.positions()[1])
        return 7

    monkeypatch.setattr(driver.Consumer, "perform_seek", stock)
    consumer.assignment = lambda: set(partitions)
    consumer.position = position
    run(consumer.perform_seek())
    assert seen == [{}, {}]
    epoch, positions = consumer.positions()
    assert positions == {("t", 0): 7, ("t", 1): 7}
    consumer._forget()
    assert consumer.positions() == (epoch + 1, {})


def test_a_partition_taken_away_while_its_gap_is_looked_at_is_left_alone():
    log = Log(range(20))
    consumer = consumer_of(log)
    consumer._expected[PLACE] = 0
    log.position = 10

    async def revoked_meanwhile(tp):
        consumer._forget()
        return {tp: 0}

    consumer.earliest_offsets = revoked_meanwhile
    assert not run(consumer._accept(PLACE, log.fetch(5)))
    assert log.position == 15
    assert PLACE not in consumer._expected


def test_who_looks_sees_what_is_safe_and_what_is_not_committed_yet():
    log = Log(range(20))
    consumer = consumer_of(log)
    assert (consumer.safe(), consumer.uncommitted(), consumer.committed_at) == ({}, False, 0.0)
    consumer._begun[PLACE] = consumer._expected[PLACE] = 0
    message = consumer._to_message(PLACE, log.fetch(5))
    assert consumer.safe() == {("t", 0): 0}
    consumer.processed(message.value)
    assert (consumer.safe(), consumer.uncommitted()) == ({("t", 0): 5}, True)
    log.commits = False
    run(consumer.force_commit())
    assert (consumer.uncommitted(), consumer.committed_at) == (True, 0.0)
    log.commits = True
    before = time()
    run(consumer.force_commit())
    assert not consumer.uncommitted()
    assert before <= consumer.committed_at <= time()
    consumer._forget()
    assert (consumer.safe(), consumer.uncommitted()) == ({}, False)


def revoked_while_storing(monkeypatch, seconds):
    """Revoke while a batch is stored; return in which order what was done, and the log."""
    log, order = Log(range(5)), []
    consumer = consumer_of(log)
    consumer._begun[PLACE] = consumer._expected[PLACE] = 0
    message = consumer._to_message(PLACE, log.fetch(5))
    monkeypatch.setattr("pipeline.transport.REVOKE_STORE_SECONDS", seconds)

    async def told(_):
        return None

    monkeypatch.setattr(consumer, "_on_partitions_revoked", told)

    async def store():
        async with consumer.storing:
            await asyncio.sleep(0.2)
            order.append("stored")
            consumer.processed(message.value)

    async def revoke():
        await asyncio.sleep(0)  # it has begun
        await consumer.on_partitions_revoked({PLACE})
        order.append("revoked")
        assert not consumer.is_current(message.value)

    async def both():
        await asyncio.gather(store(), revoke())
        async with consumer.storing:  # whoever took it gave it back
            pass

    run(both())
    return order, log


def test_a_rebalance_waits_for_the_batch_that_is_being_stored_and_commits_it(monkeypatch):
    order, log = revoked_while_storing(monkeypatch, 10.0)
    assert order == ["stored", "revoked"]
    assert log.committed == {PLACE: 5}


def test_a_rebalance_does_not_wait_for_ever(monkeypatch, caplog):
    order, log = revoked_while_storing(monkeypatch, 0.05)
    assert order == ["revoked", "stored"]
    assert log.committed == {}
    assert "not stored within 0.05 s of a rebalance" in caplog.text


def test_a_worker_that_stops_lets_no_other_batch_begin_and_a_rebalance_not_wait(monkeypatch):
    consumer, order = consumer_of(Log(range(5))), []

    async def told(_):
        order.append("revoked")

    monkeypatch.setattr(consumer, "_on_partitions_revoked", told)

    async def store():
        async with consumer.storing:
            await asyncio.sleep(0.1)
            order.append("stored")
        async with consumer.storing:
            order.append("stored another")

    async def stop():
        await asyncio.sleep(0)  # it has begun
        await consumer.hold()
        await consumer.hold()
        order.append("held")
        await asyncio.wait_for(consumer.on_partitions_revoked({PLACE}), 1.0)

    async def both():
        storing = asyncio.ensure_future(store())
        await stop()
        assert consumer.storing.locked()
        storing.cancel()

    run(both())
    assert order == ["stored", "held", "revoked"]


def test_a_worker_that_stops_does_not_wait_for_ever(monkeypatch, caplog):
    consumer = consumer_of(Log(range(5)))
    monkeypatch.setattr("pipeline.transport.STOP_STORE_SECONDS", 0.05)

    async def stop():
        async with consumer.storing:
            await consumer.hold()

    run(stop())
    assert "not stored within 0.05 s of being told to stop" in caplog.text
    assert not consumer.storing.locked()
