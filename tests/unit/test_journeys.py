"""When journeys are refreshed, and that nothing noted is forgotten."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import cast
from uuid import UUID

import pytest

from pipeline import journeys
from pipeline.errors import FatalError, RetryableError
from pipeline.journeys import Refresher
from pipeline.metrics import WorkerMetrics
from pipeline.pulse import Pulse
from pipeline.warehouse.refresh import Change, Journeys


class Kept:
    """Stands in for the tables: what was noted, and what was refreshed."""

    def __init__(self, left: Sequence[Change] = ()) -> None:
        self.noted = list(left)
        self.refreshed: list[Change] = []
        self.errors: list[Exception] = []
        self.lost_answers = 0
        self.before_refresh: list[Callable[[], object]] = []

    def changed(self, customers: Iterable[tuple[int, str]], batch: UUID) -> list[Change]:
        counted = Counter(partition for partition, _ in customers)
        made = [Change(partition, batch, count) for partition, count in counted.items()]
        self.noted += made
        if self.lost_answers:
            self.lost_answers -= 1
            raise RetryableError("no answer")
        return made

    def pending(self, partitions: Collection[int]) -> list[Change]:
        return [
            change
            for change in self.noted
            if change.partition in partitions and change not in self.refreshed
        ]

    def refresh(self, changes: Sequence[Change]) -> int:
        if self.before_refresh:
            self.before_refresh.pop(0)()
        if self.errors:
            raise self.errors.pop(0)
        self.refreshed += changes
        return len(changes)


def run(kept: Kept, work: Callable[[Refresher], None], wanted: int) -> None:
    """Run a refresher until so many changes are refreshed."""

    async def main() -> None:
        refresher = Refresher(cast(Journeys, kept), 0.01, Pulse(WorkerMetrics("v1", [], [])))
        work(refresher)
        task = asyncio.ensure_future(refresher.run())
        for _ in range(500):
            if len(kept.refreshed) >= wanted or task.done():
                break
            await asyncio.sleep(0.01)
        if task.done():
            task.result()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())


def changed(refresher: Refresher, customers: Iterable[tuple[int, str]]) -> None:
    """Note customers, and have them refreshed: what they changed is stored."""
    refresher.note(customers)
    refresher.release()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys, "TICK", 0.001)
    monkeypatch.setattr(journeys, "PAUSE", 0.01)


def test_what_is_noted_is_refreshed() -> None:
    kept = Kept()

    def work(refresher: Refresher) -> None:
        refresher.assign([0, 1])
        changed(refresher, [(0, "a"), (1, "b")])

    run(kept, work, 2)
    assert sorted(kept.refreshed) == sorted(kept.noted)


def test_what_the_last_owner_left_is_taken_up_and_what_is_others_is_not() -> None:
    left = [Change(0, UUID(int=1), 5), Change(1, UUID(int=2), 5), Change(2, UUID(int=3), 5)]
    kept = Kept(left)
    run(kept, lambda refresher: refresher.assign([0, 2]), 2)
    assert sorted(kept.refreshed) == [left[0], left[2]]


def test_the_same_partitions_once_more_forget_nothing() -> None:
    kept = Kept()

    def work(refresher: Refresher) -> None:
        refresher.assign([0])
        # while the first is refreshed another is noted, and then Kafka assigns anew
        kept.before_refresh = [lambda: (changed(refresher, [(0, "b")]), refresher.assign([0]))]
        changed(refresher, [(0, "a")])

    run(kept, work, 2)
    assert sorted(kept.refreshed) == sorted(kept.noted)
    assert len(kept.noted) == 2


def test_a_failure_forgets_nothing() -> None:
    kept = Kept()
    kept.errors = [RetryableError("away"), RetryableError("still away")]

    def work(refresher: Refresher) -> None:
        refresher.assign([0])
        changed(refresher, [(0, "a")])

    run(kept, work, 1)
    assert kept.errors == []
    assert kept.refreshed == kept.noted


def test_what_was_noted_without_an_answer_is_refreshed_too() -> None:
    kept = Kept()
    kept.lost_answers = 1

    def work(refresher: Refresher) -> None:
        refresher.assign([0, 1])
        with pytest.raises(RetryableError):
            changed(refresher, [(0, "a"), (1, "b")])
        changed(refresher, [(0, "a")])  # another attempt, another finding

    run(kept, work, 2)
    assert set(kept.refreshed) == set(kept.noted)
    assert len(set(kept.noted)) == 2


def test_a_refusal_ends_it() -> None:
    kept = Kept()
    kept.errors = [FatalError("refused")]

    def work(refresher: Refresher) -> None:
        refresher.assign([0])
        changed(refresher, [(0, "a")])

    with pytest.raises(FatalError, match="refused"):
        run(kept, work, 1)
    assert kept.refreshed == []


def test_what_waits_is_told_also_while_it_is_refreshed_and_after_a_failure() -> None:
    kept = Kept()
    told, held = [], list[Refresher]()

    def work(refresher: Refresher) -> None:
        assert refresher.waiting() == (0, 0.0)
        refresher.assign([0])
        changed(refresher, [(0, "a"), (0, "b")])
        assert refresher.waiting()[0] == 2

        def look() -> None:
            changed(refresher, [(0, "c")])
            told.append(refresher.waiting())

        kept.before_refresh = [look, lambda: told.append(refresher.waiting())]
        kept.errors = [RetryableError("away")]
        told.append(refresher.waiting())
        held.append(refresher)

    run(kept, work, 3)
    customers, seconds = zip(*told, strict=True)
    assert customers == (2, 3, 3)
    assert seconds[0] < seconds[1] < seconds[2]  # the oldest is the same
    assert held[0].waiting() == (0, 0.0)


def test_what_is_noted_waits_for_its_moments_and_survives_a_crash() -> None:
    kept = Kept()

    def crashes(refresher: Refresher) -> None:
        refresher.assign([0])
        # noted while its moments are being stored, and then the worker is gone
        kept.before_refresh = [lambda: refresher.note([(0, "b")])]
        changed(refresher, [(0, "a")])

    run(kept, crashes, 2)
    assert len(kept.noted) == 2
    assert kept.refreshed == kept.noted[:1]
    run(kept, lambda refresher: refresher.assign([0]), 2)
    assert set(kept.refreshed) == set(kept.noted)
