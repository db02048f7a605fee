"""What the parts of a worker tell of their work: counts, and what is under way.

They tell it once a batch or a chunk, never once a record. ``pipeline.health`` looks at it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, time

from pipeline.batch import Batch
from pipeline.chunks import Chunk
from pipeline.detection import News
from pipeline.errors import RetryableError
from pipeline.metrics import WorkerMetrics
from pipeline.topics import TopicPartition
from pipeline.transport import Consumer

#: Works that are tried again when they do not succeed.
STORE, JOURNEYS = "store", "journeys"


@dataclass(frozen=True)
class Trouble:
    """A work that does not succeed.

    Attributes:
        since: When it first failed, by the monotonic clock.
        error: How it last failed.
    """

    since: float
    error: RetryableError


class Pulse:
    """For one worker; its methods belong to the event loop's thread.

    Attributes:
        consumer: The consumer, once the worker has one.
        begun: Epoch of the assignment whose state the worker has taken up; -1 before the first.
        troubles: Works that do not succeed now.
        last_flush: When a batch was last done, seconds since 1970; 0 before the first.
        ended: Why the worker ends, in words; empty while it works.

    Args:
        metrics: Counts.
    """

    def __init__(self, metrics: WorkerMetrics) -> None:
        self.consumer: Consumer | None = None
        self.begun = -1
        self.troubles: dict[str, Trouble] = {}
        self.last_flush = 0.0
        self.ended = ""
        self._metrics = metrics
        self._epoch = -1
        self._taken: dict[TopicPartition, deque[tuple[int, float]]] = {}

    # --- records --------------------------------------------------------------------------------

    def took(self, chunk: Chunk) -> None:
        """Take note of a chunk that is to be stored."""
        if chunk.epoch > self._epoch:
            self._epoch = chunk.epoch
            self._taken.clear()
        if chunk.records and chunk.epoch == self._epoch:
            at = chunk.records[0].timestamp
            waiting = self._taken.setdefault((chunk.topic, chunk.partition), deque())
            waiting.append((chunk.end, at / 1000 if at and at > 0 else time()))

    def oldest(self, safe: Mapping[TopicPartition, int]) -> dict[TopicPartition, float]:
        """Return when the first record came to Kafka that waits here, seconds since 1970.

        Args:
            safe: Up to where each assigned partition is stored; what lies before waits no more.
        """
        for place in list(self._taken):
            waiting, done = self._taken[place], safe.get(place)
            while waiting and (done is None or waiting[0][0] <= done):
                waiting.popleft()
            if not waiting:
                del self._taken[place]
        return {place: waiting[0][1] for place, waiting in self._taken.items()}

    def flushed(self, chunks: Sequence[Chunk], batch: Batch, inserted: int, seconds: float) -> None:
        """Count a batch that is done.

        Args:
            chunks: What it was made of.
            batch: What became of it.
            inserted: Records of it that ClickHouse did not have before the last try.
            seconds: How long it took.
        """
        metrics = self._metrics
        consumed: Counter[str] = Counter()
        for chunk in chunks:
            consumed[chunk.topic] += len(chunk.records)
        stored = consumed - Counter(reject.topic for reject in batch.rejects)
        for topic, count in consumed.items():
            metrics.consumed.labels(topic).inc(count)
            metrics.stored.labels(topic).inc(stored[topic])
        for reason, count in Counter(item.cause.reason for item in batch.rejects).items():
            metrics.rejected.labels(reason).inc(count)
        metrics.stored_before.inc(stored.total() - inserted)
        metrics.unclassified.inc(batch.unclassified)
        metrics.late.inc(batch.late)
        metrics.future.inc(batch.future)
        metrics.flush_seconds.observe(seconds)
        metrics.flush_records.observe(consumed.total())
        self.last_flush = time()
        metrics.last_flush.set(self.last_flush)

    def said(self, news: News) -> None:
        """Count moments and promises that were sent and recorded."""
        moments = Counter((row.rule, row.kind, row.status) for row in news.moments)
        for labels, count in moments.items():
            self._metrics.moments.labels(*labels).inc(count)
        promises = Counter((row.promise, row.status) for row in news.promises)
        for of_promise, count in promises.items():
            self._metrics.promises.labels(*of_promise).inc(count)

    # --- what succeeds and what does not --------------------------------------------------------

    def failed(self, work: str, error: RetryableError) -> None:
        """Take note that a work did not succeed and will be tried again."""
        self._metrics.retries.labels(work, error.cause).inc()
        known = self.troubles.get(work)
        self.troubles[work] = Trouble(known.since if known else monotonic(), error)

    def succeeded(self, work: str) -> None:
        """Take note that a work succeeded, or is no more ours."""
        self.troubles.pop(work, None)

    def refreshed(self, customers: int, seconds: float) -> None:
        """Count a refresh of journeys."""
        self._metrics.journeys_refreshed.inc(customers)
        self._metrics.refresh_seconds.observe(seconds)
