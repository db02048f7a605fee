"""Whether a worker does its work, and if not, why: readiness, alarms, and gauges for a scrape.

Once a second it is looked at what the worker knows anyway; ClickHouse is pinged and Kafka asked for
the ends of the partitions every few seconds. Each condition here has words that name what is wrong,
for ``/readyz`` at once, and for an alarm when it lasts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from time import monotonic, time
from typing import Any

from pipeline.alarms import Alarms
from pipeline.detection import Detection
from pipeline.errors import RetryableError
from pipeline.intake import Intake
from pipeline.journeys import Refresher
from pipeline.lag import Lag
from pipeline.metrics import WorkerMetrics
from pipeline.pulse import Pulse
from pipeline.settings import Settings
from pipeline.status_server import Status
from pipeline.threads import in_thread
from pipeline.topics import TopicPartition

log = logging.getLogger(__name__)

#: Why a worker raises an alarm.
LAG, STUCK, CLICKHOUSE, KAFKA, WATERMARK = "lag", "stuck", "clickhouse", "kafka", "watermark"
ALARMS = (LAG, STUCK, CLICKHOUSE, KAFKA, WATERMARK)
#: How often it is looked, and how often ClickHouse is pinged, seconds.
LOOK_SECONDS, PING_SECONDS = 1.0, 5.0
#: Seconds that ClickHouse or Kafka may be away before that is an alarm: a restart takes less.
AWAY_SECONDS = 30.0
#: Seconds after which an answer of ClickHouse is no more waited for, and none of Kafka is told.
ANSWER_SECONDS, SILENT_SECONDS = 10.0, 30.0
#: Seconds without a look after which the process is taken for dead.
DEAD_SECONDS = 60.0
#: An idle watermark moves on in steps of so many seconds (``pipeline.detection``).
_STEP_SECONDS = 60.0


@dataclass
class _Peer:
    """Something else that the worker needs: what is wrong with it, and when it last was well."""

    good: float
    words: str = ""

    def says(self, words: str, clock: float) -> None:
        self.words = words
        if not words:
            self.good = clock


class WorkerHealth:
    """The health of one worker. All methods belong to the event loop's thread.

    Args:
        settings: What is too late, and how long is stuck.
        metrics: Are set.
        pulse: What the worker told.
        intake: What waits to be stored.
        detection: Knows the watermarks.
        refresher: Knows whose journeys wait.
        ping: Asks ClickHouse whether it is there; blocks for seconds at most.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: WorkerMetrics,
        pulse: Pulse,
        intake: Intake,
        detection: Detection,
        refresher: Refresher,
        ping: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._pulse = pulse
        self._intake = intake
        self._detection = detection
        self._refresher = refresher
        self._ping = ping
        self._alarms = Alarms(metrics)
        self._lag = Lag()
        self._marks: dict[int, tuple[int, float]] = {}
        self._clickhouse, self._kafka = _Peer(monotonic()), _Peer(monotonic())
        self._kafka_told: float | None = None
        self._ends: Mapping[TopicPartition, int] = {}
        self._standing: dict[int, float] = {}
        self._since: dict[str, float] = {}
        self._looked = monotonic()
        self._problems: dict[str, str] = {"starting": "has not looked yet"}
        metrics.clickhouse_up.set(1)  # both were reached a moment ago, or nothing would be here
        metrics.kafka_up.set(1)

    # --- looking --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look at the worker until cancelled."""
        await asyncio.gather(self._look_on(), self._ping_on())

    async def _look_on(self) -> None:
        while True:
            with _harmless():
                self.look(monotonic(), time())
            await asyncio.sleep(LOOK_SECONDS)

    async def _ping_on(self) -> None:
        while True:
            with _harmless():
                try:
                    answers = await asyncio.wait_for(in_thread(self._ping), ANSWER_SECONDS)
                except asyncio.TimeoutError:
                    answers = False
                self.clickhouse(answers, monotonic())
            await asyncio.sleep(PING_SECONDS)

    def clickhouse(self, answers: bool, clock: float) -> None:
        """Take note whether ClickHouse answers."""
        self._clickhouse.says("" if answers else "unreachable: ClickHouse does not answer", clock)
        self._metrics.clickhouse_up.set(answers)

    def kafka(
        self, error: RetryableError | None, ends: Mapping[TopicPartition, int] | None = None
    ) -> None:
        """Take note whether Kafka answers, and of the ends it told."""
        self._kafka_told = monotonic()
        self._kafka.says(str(error or ""), self._kafka_told)
        self._metrics.kafka_up.set(error is None)
        if error is None:
            self._metrics.topics_checked.set(time())
        self._ends = ends or self._ends

    def assigned(self) -> list[TopicPartition]:
        """Return the partitions this worker has."""
        consumer = self._pulse.consumer
        return [] if consumer is None else list(consumer.safe())

    def look(self, clock: float, now: float) -> None:
        """Look at everything once.

        Args:
            clock: A monotonic clock, seconds.
            now: The wall clock, seconds since 1970.
        """
        consumer = self._pulse.consumer
        safe = {} if consumer is None else consumer.safe()
        ends = {} if consumer is None else consumer.ends()
        told = {place: max(ends.get(place) or 0, self._ends.get(place, 0)) for place in safe}
        self._lag.look(safe, told, self._pulse.oldest(safe), clock, now)
        self._look_at_watermarks(clock, now)
        late = {**self._starting(clock), **self._late(clock)}
        peers, lasting = self._troubles(clock)
        alarming = {reason: words for reason, words in late.items() if reason in ALARMS}
        self._alarms.update({**alarming, **lasting}, clock)
        self._problems = {**late, **peers}
        self._metrics.ready.set(not self._problems)
        self._looked = clock

    def _lasts(self, what: str, present: bool, clock: float) -> bool:
        """Return whether something is present for so long that the worker is stuck."""
        if not present:
            self._since.pop(what, None)
            return False
        since = self._since.setdefault(what, clock)
        return clock - since > self._settings.alarm_stuck_seconds

    def _look_at_watermarks(self, clock: float, now: float) -> None:
        known = self._detection.watermarks.known()
        self._marks = {
            number: self._marks[number]
            if number in self._marks and self._marks[number][0] == watermark
            else (watermark, clock)
            for number, watermark in known.items()
        }
        settings = self._settings
        quiet = settings.alarm_stuck_seconds + settings.idle + _STEP_SECONDS
        distance = settings.lateness + settings.idle + _STEP_SECONDS + settings.alarm_lag_seconds
        self._standing = {
            number: now - watermark / 1e6
            for number, (watermark, since) in self._marks.items()
            if clock - since > quiet and now - watermark / 1e6 > distance
        }

    # --- what is wrong --------------------------------------------------------------------------

    def _starting(self, clock: float) -> dict[str, str]:
        """Return what keeps the worker from work; for long, that is being stuck."""
        consumer, words = self._pulse.consumer, ""
        if consumer is None or consumer.app.rebalancing:
            words = "joins the consumer group"
        else:
            epoch, positions = consumer.positions()
            if positions and self._pulse.begun != epoch:
                words = "takes up what is stored of its partitions"
        if self._lasts("starting", bool(words), clock):
            return {"starting": words, STUCK: f"the worker has not begun: it {words}"}
        return {"starting": words} if words else {}

    def _late(self, clock: float) -> dict[str, str]:
        """Return what is wrong with how far the worker is."""
        found, lag, settings = {}, self._lag, self._settings
        if lag.seconds > settings.alarm_lag_seconds:
            found[LAG] = (
                f"{lag.records:,} records wait, the oldest for {lag.seconds:,.0f} s: they come "
                "faster than they are stored, or were left behind (fix: more workers, up to the "
                "number of partitions)"
            )
        if lag.still > settings.alarm_stuck_seconds and lag.stillest is not None:
            topic, partition = lag.stillest
            found[STUCK] = (
                f"{lag.records:,} records wait and nothing of {topic}[{partition}] was stored for "
                f"{lag.still:,.0f} s"
            )
        uncommitted = self._pulse.consumer is not None and self._pulse.consumer.uncommitted()
        if self._lasts("uncommitted", uncommitted, clock):
            found[STUCK] = "what is stored is not committed: Kafka takes no offsets"
        if self._standing:
            number, delay = max(self._standing.items(), key=lambda item: item[1])
            found[WATERMARK] = (
                f"the watermark of partition {number} stands still, {delay:,.0f} s behind the "
                "clock, and terms do not end: nothing is stored, or all that comes tells of "
                "earlier times (fix: the clocks of the producers)"
            )
        return found

    def _troubles(self, clock: float) -> tuple[dict[str, str], dict[str, str]]:
        """Return what is wrong with ClickHouse and Kafka, and what of it lasts."""
        kafka, told = self._kafka.words, self._kafka_told
        if not kafka and told is not None and clock - told > SILENT_SECONDS:
            kafka = f"Kafka has not answered for {clock - told:.0f} s"
        found = [
            (CLICKHOUSE, self._clickhouse.words, self._clickhouse.good),
            (KAFKA, kafka, self._kafka.good),
        ]
        for trouble in self._pulse.troubles.values():
            reason = KAFKA if trouble.error.cause == KAFKA else CLICKHOUSE
            found.append((reason, f"{trouble.error.cause}: {trouble.error}", trouble.since))
        present = [item for item in found if item[1]]  # later ones say more: they were tried
        return (
            {reason: words for reason, words, _ in present},
            {reason: words for reason, words, since in present if clock - since >= AWAY_SECONDS},
        )

    # --- answers --------------------------------------------------------------------------------

    def ready(self) -> Status:
        """Return whether the worker does its work, as of the last look."""
        return Status(self._problems, self._facts())

    def alive(self) -> Status:
        """Return whether the process is worth keeping."""
        if self._pulse.ended:
            return Status({"ended": self._pulse.ended})
        if monotonic() - self._looked > DEAD_SECONDS:
            return Status({"stuck": "nobody looks whether it works"})
        return Status()

    def _facts(self) -> dict[str, Any]:
        consumer = self._pulse.consumer
        committed = 0.0 if consumer is None else consumer.committed_at
        return {
            "partitions": len(self.assigned()),
            "lag_records": self._lag.records,
            "lag_seconds": round(self._lag.seconds, 3),
            "last_flush": _at(self._pulse.last_flush),
            "last_commit": _at(committed),
        }

    def exposition(self) -> bytes:
        """Return all metrics for a scrape; what is costly to keep is set only now."""
        metrics, consumer, now = self._metrics, self._pulse.consumer, time()
        self.look(monotonic(), now)
        metrics.partitions.set(len(self.assigned()))
        metrics.show(
            metrics.lag_records,
            {(tp[0], str(tp[1])): records for tp, records in self._lag.of_partitions.items()},
        )
        metrics.lag_seconds.set(self._lag.seconds)
        known = self._detection.watermarks.known()
        metrics.show(
            metrics.watermark_delay,
            {(str(number),): now - watermark / 1e6 for number, watermark in known.items()},
        )
        metrics.open_subjects.set(len(self._detection))
        metrics.waiting_bytes.set(self._intake.waiting)
        customers, seconds = self._refresher.waiting()
        metrics.journeys_pending.set(customers)
        metrics.journeys_delay.set(seconds)
        metrics.last_commit.set(0.0 if consumer is None else consumer.committed_at)
        return metrics.exposition()


@contextmanager
def _harmless() -> Iterator[None]:
    """Log what goes wrong in looking: who only looks must not stop who works."""
    try:
        yield
    except Exception:
        log.exception("cannot tell the health of this worker")


def _at(seconds: float) -> str | None:
    """Return an instant as text, None for one that never was."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat() if seconds else None
