"""Detection in a worker: detectors of the assigned partitions, and how far they are done.

Nothing is kept here that ClickHouse does not have: after an assignment the detectors are made anew
from the interactions, moments and progress that are stored (docs/decisions/0005). What a batch
brings to say is first sent to Kafka, then recorded with the progress, then confirmed; a crash in
between says it again, the same.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from time import monotonic
from uuid import UUID

from pipeline.batch import Batch
from pipeline.chunks import Chunk
from pipeline.moments.detector import Detector
from pipeline.moments.hours import instant, microseconds
from pipeline.moments.matching import COLUMNS
from pipeline.moments.rules import STRIKES_PLACE, Rules
from pipeline.moments.statements import Statements
from pipeline.moments.states import Did
from pipeline.moments.unsaid import Change, Recalled
from pipeline.settings import Settings
from pipeline.sink import Sink, Source
from pipeline.threads import together
from pipeline.topics import TopicPartition
from pipeline.warehouse.history import Interaction
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.ledger_rows import MomentRow, ProgressRow, PromiseRow
from pipeline.watermarks import BEGINNING, Watermarks

log = logging.getLogger(__name__)

#: Step in which an idle watermark moves on, microseconds.
_STEP = 60_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass
class News:
    """What there is to say after a batch.

    Attributes:
        moments: Rows of changed moments.
        promises: Rows of changed promises.
        progress: How far detection is done, once they are said.
        done: Chunks that are done with that.
        changes: The changes by partition, to confirm.
    """

    moments: list[MomentRow] = field(default_factory=list)
    promises: list[PromiseRow] = field(default_factory=list)
    progress: list[ProgressRow] = field(default_factory=list)
    done: list[Chunk] = field(default_factory=list)
    changes: dict[int, list[Change]] = field(default_factory=dict)


class Detection:
    """Finds moments in what a worker stores. For one loop; its methods block.

    Args:
        settings: Lateness and idle time.
        rules: What to look for.
        ledger: What is known of moments.
        sink: Knows how far partitions are stored.
        ids: Id of every input topic.
    """

    def __init__(
        self,
        settings: Settings,
        rules: Rules,
        ledger: Ledger,
        sink: Sink,
        ids: Mapping[str, UUID],
    ) -> None:
        self.rules = rules
        self.watermarks = Watermarks(settings.lateness, settings.idle)
        self._ledger = ledger
        self._sink = sink
        self._ids = dict(ids)
        self._statements = Statements(rules)
        self._detectors: dict[int, Detector] = {}
        self._next: dict[Source, int] = {}
        self._stored_to: dict[Source, int] = {}
        self._held: list[Chunk] = []
        self._recalled: dict[int, Recalled] = {}

    def __len__(self) -> int:
        """Return the number of cells held."""
        return sum(map(len, self._detectors.values()))

    # --- assignment -----------------------------------------------------------------------------

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Begin with an assignment: make the detectors anew from what is stored.

        Args:
            positions: The next offset that will be read of every assigned partition.

        Raises:
            RetryableError: ClickHouse does not answer; nothing is assigned then.
        """
        self._detectors = {}
        partitions = sorted({partition for _, partition in positions})
        progress = {
            source: known
            for source, known in self._ledger.progress(sorted(self._ids)).items()
            if source[2] in set(partitions)
        }
        begin = dict.fromkeys(partitions, BEGINNING)
        for (_, _, partition), (_, watermark) in progress.items():
            begin[partition] = max(begin[partition], microseconds(watermark))
        following = {source: offset for source, (offset, _) in progress.items()}
        sources = {
            (topic, self._ids[topic], partition): position
            for (topic, partition), position in positions.items()
        }
        for source, position in sources.items():
            if following.get(source, 0) < position:
                log.warning(
                    "%s[%d]: moments were looked for up to offset %d, and it is read from %d "
                    "(fix: `touchline backtest --apply` looks in what lies between)",
                    source[0],
                    source[2],
                    following.get(source, 0),
                    position,
                )
                following[source] = position
            following.setdefault(source, position)
        detectors = {
            number: Detector(self.rules, partial(self._recall, number), watermark)
            for number, watermark in begin.items()
        }
        self._restore(detectors, following, progress)
        self._stored_to = self._sink.stored_to(sources)
        self._next, self._held = following, []
        self.watermarks.begin(begin, monotonic())
        self._detectors = detectors
        gc.collect()
        gc.freeze()  # millions of objects without cycles: not to be looked through again

    def _restore(
        self,
        detectors: Mapping[int, Detector],
        following: Mapping[Source, int],
        known: Iterable[Source],
    ) -> None:
        begun = {n: d.watermark for n, d in detectors.items() if d.watermark > BEGINNING}
        found = {number: Recalled() for number in detectors}
        facts: dict[int, list[Did]] = {number: [] for number in detectors}
        matcher = self.rules.matcher
        earliest = min(begun.values(), default=0)
        before = {source: following[source] for source in known}
        if before:
            for row in self._recent(before, earliest):
                if (sighting := matcher.stored(row)) is not None:
                    found[row["partition"]].sightings.append(sighting)
            for number, customer, fact, times in self._ledger.first_times(
                before, sorted(matcher.fact_touchpoints), matcher.facts
            ):
                facts[number] += [(customer, fact, at, event_id) for at, event_id in times]
        # where there is no progress yet, something may have been said all the same
        moments = self._said(sorted(begun), earliest)
        since = _since(earliest - self.rules.said_reach)
        promises = list(self._ledger.promises(sorted(begun), since).values())
        fresh = sorted(set(detectors) - set(begun))
        moments += self._ledger.moments(fresh, _EPOCH).values()
        promises += self._ledger.promises(fresh, _EPOCH).values()
        for number, detector in detectors.items():
            found[number].said = self._statements.said(
                [row for row in moments if row.partition == number],
                [row for row in promises if row.partition == number],
            )
            detector.restore(found[number], facts[number])
        log.info(
            "took up %d events and %d moments of %d partitions, %d open subjects",
            sum(len(item.sightings) for item in found.values()),
            len(moments),
            len(detectors),
            sum(map(len, detectors.values())),
        )

    def _said(self, partitions: Collection[int], earliest: int) -> list[MomentRow]:
        """Return the moments that can still matter.

        And all of the customers whose strikes go on for longer: they are what their pains were.
        """
        rules, recent = self.rules, earliest - self.rules.said_reach
        found = self._ledger.moments(partitions, _since(recent))
        struck = self._ledger.struck(
            partitions,
            begun_before=_since(recent + rules.strikes_window),
            ended_since=_since(earliest - rules.watched(STRIKES_PLACE, STRIKES_PLACE)),
        )
        found |= {row.moment_id: row for row in self._ledger.moments_of(struck)}
        return list(found.values())

    def _recent(self, before: Mapping[Source, int], earliest: int) -> Iterator[Interaction]:
        """Yield what can still matter: each kind of event as far back as rules look at it.

        And all of the customers who were promised something by a date of its own: it may be due
        long after everything that has to do with it. Events may come twice.
        """
        furthest = _since(earliest - self.rules.reach)
        touchpoints = self.rules.matcher.touchpoints()
        since = {
            kind: _since(earliest - reach)
            for kind in self._ledger.kinds(before, furthest, touchpoints)
            if (reach := self.rules.reach_of(kind)) is not None
        }
        for block in self._ledger.interactions(before, since, COLUMNS):
            yield from block
        promised = self._ledger.promised(before, since)
        yield from self._ledger.history(promised, before, _EPOCH, touchpoints, COLUMNS)

    def _recall(self, partition: int, customers: Sequence[str]) -> Recalled:
        """Return everything that is stored of some customers, up to the present batch."""
        return self._recalled.pop(partition, None) or self._read({partition: customers})[partition]

    def _read(self, wanted: Mapping[int, Collection[str]]) -> dict[int, Recalled]:
        """Read what is stored of some customers, of several partitions at once.

        A customer may have events in two partitions, where they were added or keyed by others: each
        is told only of those it asks for.
        """
        before = {source: end for source, end in self._next.items() if source[2] in wanted}
        customers = sorted({customer for some in wanted.values() for customer in some})
        touchpoints = self.rules.matcher.touchpoints()
        found = {partition: Recalled() for partition in wanted}
        history, moments, promises = together(
            lambda: self._ledger.history(customers, before, _EPOCH, touchpoints, COLUMNS),
            lambda: self._ledger.moments_of(customers),
            lambda: self._ledger.promises_of(customers),
        )
        for row in history:
            sighting = self.rules.matcher.stored(row)
            if sighting is not None and sighting.customer in wanted[row["partition"]]:
                found[row["partition"]].sightings.append(sighting)
        for partition, some in wanted.items():
            found[partition].said = self._statements.said(
                [r for r in moments if r.partition == partition and r.customer_key in some],
                [r for r in promises if r.partition == partition and r.customer_key in some],
            )
        return found

    # --- batches --------------------------------------------------------------------------------

    def detect(
        self,
        chunks: Sequence[Chunk],
        batch: Batch,
        ends: Mapping[TopicPartition, int | None],
        now: datetime,
    ) -> News:
        """Take a batch that is stored.

        Args:
            chunks: What it is made of.
            batch: What became of it.
            ends: End of every assigned partition in Kafka, None where unknown.
            now: Written as the time of detection.

        Returns:
            What there is to say; it is not done before ``confirm``.
        """
        clock = monotonic()
        done = dict(self._next)
        for sighting, row in zip(batch.sightings, batch.rows, strict=True):
            topic, topic_id, partition, offset = row[:4]
            if sighting is not None and offset >= done[topic, topic_id, partition]:
                self._detectors[partition].feed(sighting)
        for chunk in chunks:
            source = (chunk.topic, self._ids[chunk.topic], chunk.partition)
            self._next[source] = max(chunk.end, self._next[source])
        for (topic, partition), latest in batch.latest.items():
            self.watermarks.heard(topic, partition, latest, clock)
        touched = {chunk.partition for chunk in chunks}
        return self._news(
            {
                partition: self.watermarks.advance(partition, self._behind(partition, ends))
                for partition in sorted(touched)
                if self._caught_up(partition)
            },
            [*self._held, *chunks],
            now,
        )

    def pass_time(self, ends: Mapping[TopicPartition, int | None], now: datetime) -> News:
        """Close by the wall clock what an idle stream leaves open; ``detect`` has the arguments.

        Where it decides nothing the watermark moves on in steps, so that it is seldom written.
        """
        at = microseconds(now)
        late = at - self.watermarks.lateness
        idle = [
            partition
            for partition in self.watermarks.idle(monotonic(), at)
            if self._caught_up(partition)
            and not self._behind(partition, ends)
            and (
                self._detectors[partition].waits_before(late)
                or late - self.watermarks[partition] >= _STEP
            )
        ]
        return self._news(
            {item: self.watermarks.pass_time(item, at) for item in idle}, self._held, now
        )

    def _news(self, watermarks: Mapping[int, int], chunks: Sequence[Chunk], now: datetime) -> News:
        news = News()
        late = {item: set(self._detectors[item].late) for item in watermarks}
        late = {item: customers for item, customers in late.items() if customers}
        self._recalled = self._read(late) if late else {}
        for partition, watermark in watermarks.items():
            changes = self._detectors[partition].advance(watermark, now)
            news.changes[partition] = changes
            for change in changes:
                if change.place is None:
                    row = self._statements.promise(change, partition, watermark, now)
                    news.promises.append(row)
                else:
                    news.moments.append(self._statements.moment(change, partition, watermark, now))
            news.progress += [
                ProgressRow(*source, offset, instant(max(watermark, 0)))
                for source, offset in self._next.items()
                if source[2] == partition and self._ids.get(source[0]) == source[1]
            ]
        news.done = [chunk for chunk in chunks if chunk.partition in watermarks]
        self._held = [chunk for chunk in chunks if chunk.partition not in watermarks]
        return news

    def record(self, news: News) -> None:
        """Store what was sent, and that it is done.

        Raises:
            RetryableError: ClickHouse did not take it for now.
        """
        together(
            lambda: self._ledger.record_moments(news.moments),
            lambda: self._ledger.record_promises(news.promises),
        )
        self._ledger.record_progress(news.progress)
        for partition, changes in news.changes.items():
            self._detectors[partition].confirm(changes)

    def _caught_up(self, partition: int) -> bool:
        """Whether everything that was stored before the assignment has been looked at.

        Until then what was said may be ahead of what is known here.
        """
        return all(
            self._next[source] > stored
            for source, stored in self._stored_to.items()
            if source[2] == partition
        )

    def _behind(self, partition: int, ends: Mapping[TopicPartition, int | None]) -> list[str]:
        """Return the topics of a partition that are not read to their end."""
        found = []
        for (topic, number), end in ends.items():
            if number == partition and (
                end is None or self._next[topic, self._ids[topic], number] < end
            ):
                found.append(topic)
        return found


def _since(at: int) -> datetime:
    return instant(max(at, 0))
