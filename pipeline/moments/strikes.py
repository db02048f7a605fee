"""Three strikes: many unresolved pains of one customer within a rolling time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from pipeline.moments.notes import Found, Note
from schemas.rules import Strikes


class Pain(NamedTuple):
    """A pain as three strikes and rules over moments see it; ordered by time, then id.

    Attributes:
        at: When it occurred, microseconds since 1970.
        moment_id: Its id.
        kind: pain or glory.
        rule: Id of the rule that found it.
        resolved_at: When it was resolved, or None.
        note: What caused it.
        resolved_by: Id of the event that resolved it; empty where time did, or none.
    """

    at: int
    moment_id: str
    kind: str
    rule: str
    resolved_at: int | None
    note: Note
    resolved_by: str = ""


def strikes(
    pains: Sequence[Pain], terms: Strikes, watermark: int
) -> tuple[list[Found], int | None]:
    """Find when a customer had too many unresolved pains.

    Args:
        pains: The customer's pains, retracted ones left out, in order.
        terms: How many within which time.
        watermark: Everything earlier has arrived.

    Returns:
        The moments, and the next instant at which time may resolve one.
    """
    window = terms.window // timedelta(microseconds=1)
    turns: list[tuple[int, int, str, Pain]] = []
    for pain in pains:
        end = pain.at + window
        if pain.resolved_at is not None:
            end = min(end, pain.resolved_at)
        if end > pain.at:
            turns.append((pain.at, 1, pain.moment_id, pain))
            turns.append((end, 0, pain.moment_id, pain))
    turns.sort()
    found: list[Found] = []
    counting: dict[str, Pain] = {}
    begun: Found | None = None
    wake: int | None = None
    by_time, closers = 0, [""]
    for number, (at, begins, moment_id, pain) in enumerate(turns):
        if begins:
            counting[moment_id] = pain
        else:
            del counting[moment_id]
            by_time += pain.resolved_at != at or not pain.resolved_by
            closers.append(pain.resolved_by if pain.resolved_at == at else "")
        if number + 1 < len(turns) and turns[number + 1][:2] == (at, begins):
            continue  # what happens at one instant counts together
        if begins and begun is None and len(counting) >= terms.threshold:
            evidence = tuple(item.moment_id for item in sorted(counting.values()))
            begun = Found(pain.note._replace(at=at, event_id=moment_id), evidence, at)
        elif begun is not None and len(counting) < terms.threshold:
            if watermark <= at and len(counting) + by_time >= terms.threshold:
                wake = at
                break
            ended = begun._replace(status="resolved", closed_at=at, closed_by=max(closers))
            found.append(ended)
            begun = None
        by_time, closers = 0, [""]
    if begun is not None:
        found.append(begun)
    return found, wake
