"""What the warehouse must say of moments and promises, computed in plain Python.

Written from docs/moments.md and the headers of the queries, not from the SQL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any, TypeVar
from uuid import UUID

from pipeline.warehouse.ledger_rows import MomentRow, PromiseRow
from tests.integration.filter_oracle import Filters
from tests.integration.warehouse_oracle import Record, p90

_Row = TypeVar("_Row", MomentRow, PromiseRow)
_WORST = ["critical", "high", "medium", "low"]


def latest(rows: Iterable[_Row]) -> list[_Row]:
    """The latest revision of each; of one stored twice what was changed last."""
    known: dict[UUID, _Row] = {}
    for row in rows:
        key = row[1] if isinstance(row, MomentRow) else row[0]
        other = known.get(key)
        if other is None or (row.revision, row.changed_at) > (other.revision, other.changed_at):
            known[key] = row
    return list(known.values())


def standing(rows: Iterable[_Row]) -> list[_Row]:
    """The latest revisions of what is shown."""
    return [row for row in latest(rows) if row.status != "withdrawn"]


class Asked:
    """Moments that a question is about.

    Args:
        rows: Every revision.
        events: Every event.
        since: First instant of the time asked for.
        until: First instant after it.
        filters: What else is asked for.
    """

    def __init__(
        self,
        rows: Iterable[MomentRow],
        events: list[Record],
        since: datetime,
        until: datetime,
        filters: Filters,
    ) -> None:
        self.segment_of = filters.segment_of
        #: Customers that the question is about, with their segments.
        self.customers = {
            key: segment for key, segment in self.segment_of.items() if filters.customer(key)
        }
        self.events = [
            event
            for event in events
            if since <= event["occurred_at"] < until and filters.interaction(event)
        ]
        self.moments = [
            row
            for row in standing(rows)
            if since <= row.occurred_at < until
            and filters.caused(row.customer_key, row.cause, row.channel, row.touchpoint)
        ]


def counted(rows: Sequence[MomentRow]) -> dict[str, Any]:
    """Every number that a query shows of some moments."""
    stand = [row for row in rows if row.status != "retracted"]
    pains = [row for row in stand if row.kind == "pain"]
    mended = [row for row in stand if row.status == "resolved"]
    return {
        "moments": len(stand),
        "open": sum(row.status == "open" for row in stand),
        "resolved": len(mended),
        "retracted": len(rows) - len(stand),
        "customers": len({row.customer_key for row in stand}),
        "pains": len(pains),
        "open_pains": sum(row.status == "open" for row in pains),
        "resolved_pains": sum(row.status == "resolved" for row in pains),
        "glories": len(stand) - len(pains),
        "in_pain": len({row.customer_key for row in pains}),
        "mending": _spread([_closing(row) for row in mended]),
        "mending_pains": _spread([_closing(row) for row in mended if row.kind == "pain"]),
        "delay": _spread([(row.detected_at - row.occurred_at).total_seconds() for row in stand])[0],
    }


def grouped(rows: Iterable[_Row], key: Callable[[_Row], Any]) -> dict[Any, list[_Row]]:
    """Rows by a key; nothing for any other."""
    found: dict[Any, list[_Row]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def known_first(known: Sequence[str], others: Iterable[str]) -> list[str]:
    """What the catalog has in its order, then what else occurs."""
    return [*known, *sorted(set(others) - set(known), key=str.encode)]


def worst_first(rows: Iterable[MomentRow]) -> list[MomentRow]:
    """Open pains, the worst first, of those the newest."""
    found = [row for row in rows if row.kind == "pain" and row.status == "open"]
    found.sort(key=lambda row: str(row.moment_id))
    found.sort(key=lambda row: row.occurred_at, reverse=True)
    return sorted(found, key=lambda row: _WORST.index(row.severity))


def kept(rows: Sequence[PromiseRow]) -> tuple[Any, ...]:
    """What became of promises."""
    statuses = ["pending", "kept", "kept_late", "broken", "cancelled"]
    counts = [sum(row.status == status for row in rows) for status in statuses]
    due = sum(counts[1:4])
    seconds = [
        max((row.answered_at - row.made_at).total_seconds(), 0.0)
        for row in rows
        if row.status in ("kept", "kept_late") and row.answered_at is not None
    ]
    return (len(rows), *counts, counts[1] / due if due else None, *_spread(seconds))


def trust(rows: Iterable[MomentRow], weight: float) -> dict[str, tuple[Any, ...]]:
    """Glories, pains, open pains, balance and ratio of each customer with a moment."""
    found = {}
    for customer, own in grouped(rows, lambda row: row.customer_key).items():
        numbers = counted(own)
        glories, pains = numbers["glories"], numbers["pains"]
        ratio = glories / (weight * pains) if pains else None
        if glories + pains:
            found[customer] = (
                glories,
                pains,
                numbers["open_pains"],
                glories - weight * pains,
                ratio,
            )
    return found


def strikes(
    rows: Iterable[MomentRow], at: datetime, window: timedelta
) -> dict[str, list[MomentRow]]:
    """The pains of each customer that count at an instant, in order."""
    counting = [
        row
        for row in standing(rows)
        if row.kind == "pain"
        and row.rule != "three_strikes"
        and row.status != "retracted"
        and row.occurred_at <= at < row.occurred_at + window
        and (row.closed_at is None or at < row.closed_at)
    ]
    counting.sort(key=lambda row: row.occurred_at)
    return grouped(counting, lambda row: row.customer_key)


def _closing(row: MomentRow) -> float:
    assert row.closed_at is not None
    return (row.closed_at - row.occurred_at).total_seconds()


def _spread(seconds: list[float]) -> tuple[float | None, float | None]:
    """Median and 90th percentile; nothing of nothing."""
    return (median(seconds), p90(seconds)) if seconds else (None, None)
