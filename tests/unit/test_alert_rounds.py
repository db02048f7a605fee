"""Rounds of the alerter: who stood still stores nothing, and nothing is left out."""

import asyncio
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from pipeline import catalog
from pipeline.alerts.awake import Awake
from pipeline.alerts.rounds import Rounds
from pipeline.chunks import Chunk
from pipeline.metrics import AlertMetrics
from tests.alert_line import a_moment

TIMEOUT = 10.0


class Clock:
    def __init__(self):
        self.at = 1_000.0
        self.ticks = lambda: None

    def now(self):
        return datetime(2026, 11, 1, tzinfo=timezone.utc) + timedelta(seconds=self.at)

    def monotonic(self):
        return self.at

    async def sleep(self, seconds):
        self.at += seconds
        self.ticks()
        await asyncio.sleep(0)


class Consumer:
    """Has one partition, in one assignment or the next."""

    def __init__(self):
        self.epoch, self.done = 1, []

    def positions(self):
        return self.epoch, {("moments", 0): 0}

    def is_current(self, chunk):
        return chunk.epoch == self.epoch

    def processed(self, chunk):
        self.done.append(chunk)


class Journal:
    """Holds nothing, and does something while it is asked what was seen."""

    def __init__(self):
        self.stored, self.begun, self.meanwhile = [], 0, []

    def begin(self):
        self.begun += 1

    def seen(self, ids):
        if self.meanwhile:
            self.meanwhile.pop()()
        return {}

    def store(self, decided):
        self.stored.append(decided)

    def lately(self, customers):
        return {}

    def hot_alerts(self, now):
        return []

    alerts = hot_alerts

    def live_moments(self, since, routes):
        return []

    def orders(self, *statuses):
        return []

    deliveries = orders


@pytest.fixture
def told():
    clock, consumer, journal = Clock(), Consumer(), Journal()
    loaded = catalog.load()
    metrics = AlertMetrics("v", (), ["screen"])
    app = SimpleNamespace(consumer=consumer)
    senders = {"screen": SimpleNamespace()}
    rounds = Rounds(app, loaded.catalog, journal, senders, metrics, clock, TIMEOUT)
    value = a_moment("one").model_dump_json().encode()
    chunk = Chunk("moments", 0, 0, 1, [SimpleNamespace(offset=0, value=value)], len(value), 1)

    def run():
        async def main():
            rounds.alive()
            clock.ticks = rounds.alive
            try:
                await asyncio.wait_for(rounds._see_to([chunk]), 30)
            finally:
                await rounds._dismiss()

        asyncio.run(main())

    return SimpleNamespace(
        clock=clock, consumer=consumer, journal=journal, rounds=rounds, chunk=chunk, run=run
    )


def test_a_round_is_stored_and_its_chunk_done(told):
    told.run()
    assert len(told.journal.stored) == 1
    assert told.consumer.done == [told.chunk]


def test_after_standing_still_nothing_is_stored_before_it_is_known_whose_it_is(told):
    def freeze():
        told.clock.at += TIMEOUT

    told.journal.meanwhile = [freeze]
    began = told.clock.at
    told.run()
    # Kafka did not take the partition away: the round is done anew when that is certain
    assert len(told.journal.stored) == 1
    assert told.journal.begun == 2
    assert told.clock.at - began > 2 * TIMEOUT
    assert told.consumer.done == [told.chunk]


def test_what_was_taken_away_is_not_stored(told):
    def freeze():
        told.clock.at += TIMEOUT
        told.consumer.epoch += 1

    told.journal.meanwhile = [freeze]
    told.run()
    assert told.journal.stored == []
    assert told.consumer.done == []


def test_a_new_assignment_is_certain_at_once():
    clock = Clock()
    awake = Awake(clock, TIMEOUT)
    clock.at += 0.5 * TIMEOUT
    awake.tick(1)
    assert awake.certain(1)
    clock.at += TIMEOUT
    assert not awake.certain(1)
    awake.tick(1)
    assert not awake.certain(1)
    assert awake.certain(2)
    clock.at += 1.01 * TIMEOUT
    awake.tick(1)
    assert not awake.certain(1)  # it stood still once more
