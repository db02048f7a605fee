"""Rules on history: what they would have found, and how that differs from what was found.

The same engine as in the worker looks at everything that is stored of a customer at once, up to
where the customer's partition is complete. What it finds is what a worker with these rules would
say by now; where the ledger says otherwise, there is a difference, which can be written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from heapq import nsmallest
from itertools import chain
from typing import Any, Literal, TypeAlias
from uuid import UUID

from pipeline.moments.detector import Detector
from pipeline.moments.hours import microseconds
from pipeline.moments.matching import COLUMNS
from pipeline.moments.rules import Rules
from pipeline.moments.statements import Statements
from pipeline.moments.unsaid import Recalled
from pipeline.rule_file import Trial
from pipeline.warehouse.history import Interaction
from pipeline.warehouse.ledger_rows import MomentRow, PromiseRow
from pipeline.warehouse.past import Past, Span
from schemas.rules import STRIKES

Row: TypeAlias = MomentRow | PromiseRow
_WITHDRAWN = "withdrawn"
#: What makes a moment or a promise another one than it was. Versions, owner and text are no part of
#: it: they stay as they were when it was found.
_SIGNIFICANT: dict[type, tuple[str, ...]] = {
    MomentRow: ("kind", "status", "occurred_at", "due_at", "closed_at", "closed_by", "evidence"),
    PromiseRow: ("status", "due_at", "answered_at", "answered_by", "ended_at"),
}


@dataclass(frozen=True)
class Difference:
    """A moment or promise that would not be as it was found.

    Attributes:
        kind: new: it was not found. gone: it would not be found. changed: it would be otherwise.
        before: What was found last; None where nothing was, or it was withdrawn.
        row: The next revision, as it would be written.
    """

    kind: Literal["new", "gone", "changed"]
    before: Row | None
    row: Row

    def fields(self) -> dict[str, tuple[Any, Any]]:
        """Return what changed: values before and after by column; nothing for new and gone."""
        if self.kind != "changed":
            return {}
        names = _SIGNIFICANT[type(self.row)]
        pairs = {name: (getattr(self.before, name), getattr(self.row, name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@dataclass
class Tally:
    """What became of one rule or promise.

    Attributes:
        found: Moments there are now.
        would: Moments there would be.
        new: Those that were not found.
        gone: Those that would not be found.
        changed: Those that would be otherwise.
        first: When the first of those there would be occurred; for promises, was made.
        last: When the last of them did.
    """

    found: int = 0
    would: int = 0
    new: int = 0
    gone: int = 0
    changed: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def count(self, when: datetime) -> None:
        """Count one that there would be."""
        self.would += 1
        self.first = when if self.first is None else min(self.first, when)
        self.last = when if self.last is None else max(self.last, when)


@dataclass
class Report:
    """What came of looking at history.

    Attributes:
        records: Stored records that were looked through, duplicates included.
        rules: By id of the rule, in the order of the catalog, then those that are no more.
        promises: The same of promises.
        moment_differences: The earliest differences of moments.
        promise_differences: The earliest differences of promises.
        written: Rows that were written.
    """

    records: int = 0
    rules: dict[str, Tally] = field(default_factory=dict)
    promises: dict[str, Tally] = field(default_factory=dict)
    moment_differences: list[Difference] = field(default_factory=list)
    promise_differences: list[Difference] = field(default_factory=list)
    written: int = 0


class Backtest:
    """Looks at history with the rules of a trial.

    Args:
        past: Where history is.
        trial: What to try.
        since: Moments that occurred, and promises that were made, at or after this; None for all.
        until: Those before this; None for all.
    """

    def __init__(
        self,
        past: Past,
        trial: Trial,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        self._past = past
        self._scope = trial.scope
        self._rules = Rules(trial.loaded)
        self._statements = Statements(self._rules)
        self._touchpoints = self._rules.matcher.touchpoints()
        self._since, self._until = since, until

    def run(
        self,
        apply: bool = False,
        keep: int | None = None,
        on_records: Callable[[int], None] = lambda records: None,
    ) -> Report:
        """Look at everything, span by span.

        Args:
            apply: Write the differences of each span when it was looked at. What is written is no
                difference any more, so an interrupted run can be repeated.
            keep: How many differences of each sort to keep, the earliest; all when None.
            on_records: Called with the number of records of each span, when it is done.

        Raises:
            RetryableError: ClickHouse does not answer or cannot for now.
            FatalError: It refuses.
        """
        report = self._empty()
        latest = self._past.latest()
        for span in self._past.spans():
            moments, promises = self._look(span, latest, report)
            if apply:
                report.written += self._write([each.row for each in chain(moments, promises)])
            for kept, more in (
                (report.moment_differences, moments),
                (report.promise_differences, promises),
            ):
                kept += more
                if keep is not None:
                    kept[:] = nsmallest(keep, kept, key=_order)
            records = self._past.rows_in(span)
            report.records += records
            on_records(records)
        report.moment_differences.sort(key=_order)
        report.promise_differences.sort(key=_order)
        return report

    def _write(self, rows: Sequence[Row]) -> int:
        """Write rows and return how many."""
        moments = [row for row in rows if isinstance(row, MomentRow)]
        # noted first: should this break off, the journeys are still known to be behind
        touched = self._past.journeys.changed((row.partition, row.customer_key) for row in moments)
        self._past.record_moments(moments)
        self._past.record_promises([row for row in rows if isinstance(row, PromiseRow)])
        self._past.journeys.refresh(touched)
        return len(rows)

    def _empty(self) -> Report:
        catalog, report = self._rules.catalog, Report()
        rules = [rule.id for rule in catalog.rules] + [STRIKES] * (catalog.strikes is not None)
        report.rules = {name: Tally() for name in rules if self._scope.has_rule(name)}
        report.promises = {
            each.id: Tally() for each in catalog.promises if self._scope.has_promise(each.id)
        }
        return report

    def _look(
        self, span: Span, latest: Mapping[int, datetime], report: Report
    ) -> tuple[list[Difference], list[Difference]]:
        """Return the differences of some customers.

        What was found is read first, then how far partitions are complete, then the interactions:
        so nothing was found from more than is looked at here, however busy workers are. A worker
        that finds the same at the same time says it later than this, and counts.
        """
        now = datetime.now(timezone.utc)
        moments, promises = self._past.moments_in(span), self._past.promises_in(span)
        complete = {**latest, **self._past.watermarks()}
        said: list[Row] = [*moments.values(), *promises.values()]
        for row in said:
            complete[row.partition] = max(row.watermark, complete.get(row.partition, row.watermark))
        rows = self._past.interactions_in(span, self._touchpoints, COLUMNS)
        found_moments, found_promises = self._found(rows, complete, now)
        mine = {key: row for key, row in moments.items() if self._scope.has_rule(row.rule)}
        kept = {key: row for key, row in promises.items() if self._scope.has_promise(row.promise)}
        return (
            self._compare(mine, found_moments, report.rules, complete, now),
            self._compare(kept, found_promises, report.promises, complete, now),
        )

    def _found(
        self, rows: Sequence[Interaction], complete: Mapping[int, datetime], now: datetime
    ) -> tuple[list[Row], list[Row]]:
        """Return what a worker would have said of some customers by now."""
        moments: list[Row] = []
        promises: list[Row] = []
        homes = _homes(rows)
        detectors: dict[int, Detector] = {}
        for row in rows:
            sighting = self._rules.matcher.stored(row)
            if sighting is not None:
                partition = homes[sighting.customer]
                detector = detectors.get(partition)
                if detector is None:
                    detector = detectors[partition] = Detector(self._rules, _nothing_is_late)
                detector.feed(sighting)
        for partition, detector in detectors.items():
            watermark = microseconds(complete[partition])
            for change in detector.advance(watermark, now):
                if change.place is not None:
                    if self._scope.has_rule(self._rules.name(change.place)):
                        moments.append(self._statements.moment(change, partition, watermark, now))
                else:
                    promise = self._rules.groups[change.key[1]].promise
                    if promise is not None and self._scope.has_promise(promise.promise.id):
                        promises.append(self._statements.promise(change, partition, watermark, now))
        return moments, promises

    def _compare(
        self,
        known: Mapping[UUID, Row],
        found: Iterable[Row],
        tallies: dict[str, Tally],
        complete: Mapping[int, datetime],
        now: datetime,
    ) -> list[Difference]:
        """Count what there is and would be, and return what differs."""
        differences: list[Difference] = []
        gone = {key: row for key, row in known.items() if row.status != _WITHDRAWN}
        for row in gone.values():
            if self._is_asked(row):
                tallies.setdefault(name(row), Tally()).found += 1
        for row in found:
            tally = tallies.setdefault(name(row), Tally())
            before = gone.pop(identity(row), None)
            if self._is_asked(row):
                tally.count(at(row))
            elif before is None or not self._is_asked(before):
                continue
            if before is None:
                differences.append(Difference("new", None, _next(known.get(identity(row)), row)))
                tally.new += 1
            elif signature(before) != signature(row):
                differences.append(Difference("changed", before, _next(before, row)))
                tally.changed += 1
        for before in filter(self._is_asked, gone.values()):
            withdrawn = before._replace(
                revision=before.revision + 1,
                status=_WITHDRAWN,
                catalog_version=self._rules.version,
                changed_at=now,
                watermark=complete[before.partition],
            )
            differences.append(Difference("gone", before, withdrawn))
            tallies[name(before)].gone += 1
        return differences

    def _is_asked(self, row: Row) -> bool:
        when = at(row)
        return (self._since is None or when >= self._since) and (
            self._until is None or when < self._until
        )


def identity(row: Row) -> UUID:
    """Return the id of a moment or a promise."""
    return row.moment_id if isinstance(row, MomentRow) else row.promise_id


def name(row: Row) -> str:
    """Return the id of its rule, or of the catalog's promise."""
    return row.rule if isinstance(row, MomentRow) else row.promise


def at(row: Row) -> datetime:
    """Return when a moment occurred, or a promise was made."""
    return row.occurred_at if isinstance(row, MomentRow) else row.made_at


def signature(row: Row) -> tuple[Any, ...]:
    """Return what makes it another one than it was."""
    return tuple(getattr(row, name) for name in _SIGNIFICANT[type(row)])


def _next(known: Row | None, row: Row) -> Row:
    """Return a row as the revision after the one that is known."""
    if known is None:
        return row
    if isinstance(known, MomentRow) and isinstance(row, MomentRow):
        return row._replace(revision=known.revision + 1, detected_at=known.detected_at)
    return row._replace(revision=known.revision + 1)


def _homes(rows: Iterable[Interaction]) -> dict[str, int]:
    """Return the partition of each customer: that of the latest event.

    It is one only, unless topics were made again with another number of partitions.
    """
    latest: dict[str, datetime] = {}
    homes: dict[str, int] = {}
    for row in rows:
        customer, when = row["customer_key"], row["occurred_at"]
        known = latest.get(customer)
        if known is None or when > known:
            latest[customer], homes[customer] = when, row["partition"]
    return homes


def _nothing_is_late(customers: Sequence[str]) -> Recalled:
    """Recall nothing: a detector that begins before all events finds none of them late."""
    return Recalled()


def _order(difference: Difference) -> tuple[datetime, str]:
    """Return what differences are in the order of: the time, then the identity."""
    return at(difference.row), str(identity(difference.row))
