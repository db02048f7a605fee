"""What each type of rule finds in the events of one subject (``docs/moments.md``).

Pure functions of the entries of a cell, in order, what became of its promises, and the watermark:
the same whatever the order of arrival was. Times are microseconds since 1970.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.moments.hours import DueAt
from pipeline.moments.notes import (
    AFTER,
    CANCELLED,
    FIRST,
    KEPT,
    MADE,
    THEN,
    UNLESS,
    UNTIL,
    WHEN,
    Entry,
    Found,
    Note,
    Promised,
)

Entries = Sequence[Entry]
Promises = Sequence[Promised]
#: The moments; and for what time is still to decide: the event it rests on and when it is decided.
Result = tuple[list[Found], Sequence[tuple[int, int]]]


class Closing(NamedTuple):
    """What closes the moments of a rule.

    Attributes:
        resolve: Parts that resolve.
        retract: Parts that retract.
        open_for: How long that is awaited, microseconds.
    """

    resolve: int
    retract: int
    open_for: int


def closed(found: Found, entries: Entries, place: int, closing: Closing) -> Found:
    """Return a moment as it is after what happened from ``place`` on."""
    parts = closing.resolve | closing.retract
    last = found.occurred_at + closing.open_for
    for number in range(place, len(entries)):
        at, event_id, played, _, _ = entries[number]
        if at > last:
            break
        if played & parts:
            status = "retracted" if played & closing.retract else "resolved"
            return found._replace(status=status, closed_at=at, closed_by=event_id)
    return found


def single(entries: Entries, _: Promises, __: int, *, closing: Closing) -> Result:
    """Find a moment at every ``when`` event."""
    found = [
        closed(Found(entry.note, (entry.event_id,), entry.at), entries, place + 1, closing)
        for place, entry in enumerate(entries)
        if entry.parts & WHEN
    ]
    return found, ()


def count(
    entries: Entries, _: Promises, __: int, *, closing: Closing, wanted: int, within: int
) -> Result:
    """Find moments where so many come within a time."""
    found: list[Found] = []
    if len(entries) < wanted:
        return found, ()
    counted: list[Entry] = []
    reached = False
    for place, entry in enumerate(entries):
        if entry.parts & UNLESS:
            counted, reached = [], False
        if entry.parts & WHEN:
            counted = [other for other in counted if entry.at - other.at <= within]
            counted.append(entry)
            before, reached = reached, len(counted) >= wanted
            if reached and not before:
                ids = tuple(other.event_id for other in counted)
                moment = Found(entry.note, ids, entry.at)
                found.append(closed(moment, entries, place + 1, closing))
    return found, ()


def rate(
    entries: Entries,
    _: Promises,
    watermark: int,
    *,
    closing: Closing,
    more_than: int,
    within: int,
    ends: bool,
) -> Result:
    """Find moments where more than so many come in a rolling time, until fewer do.

    ``ends`` is False for a glory, which is never over.
    """
    found: list[Found] = []
    pending: list[tuple[int, int]] = []
    if len(entries) <= more_than:
        return found, pending
    rolling: list[Entry] = []
    begun: tuple[Found, int] | None = None

    def end(at: int, by: str, is_last: bool = False) -> None:
        nonlocal begun
        if begun is None:
            return
        moment, place = begun
        begun = None
        over = ends and at <= moment.occurred_at + closing.open_for
        if over and is_last and watermark <= at:
            pending.append((moment.cause.at, at))
            over = False
        calm = moment._replace(status="resolved", closed_at=at, closed_by=by) if over else moment
        other = closed(moment, entries, place + 1, closing)
        sooner = other.closed_at is not None and (
            not over
            or other.closed_at < at
            or (other.closed_at == at and (not by or other.closed_by <= by))
        )
        found.append(other if sooner else calm)

    for place, entry in enumerate(entries):
        if not entry.parts & WHEN:
            continue
        if rolling and entry.at > rolling[-1].at + within:
            end(rolling[-1].at + within, "")
        rolling = [other for other in rolling if entry.at - other.at < within]
        rolling.append(entry)
        if len(rolling) <= more_than:
            end(entry.at, entry.event_id)
        elif begun is None:
            ids = tuple(other.event_id for other in rolling)
            begun = Found(entry.note, ids, entry.at), place
    if rolling:
        end(rolling[-1].at + within, "", is_last=True)
    return found, pending


def sequence(entries: Entries, _: Promises, __: int, *, closing: Closing, within: int) -> Result:
    """Find moments where one thing follows another within a time, with nothing between."""
    found: list[Found] = []
    nearest: Entry | None = None
    for place, entry in enumerate(entries):
        if not entry.parts & (FIRST | THEN | UNLESS):
            continue
        if entry.parts & THEN and nearest is not None and entry.at - nearest.at <= within:
            moment = Found(entry.note, (nearest.event_id, entry.event_id), entry.at)
            found.append(closed(moment, entries, place + 1, closing))
        opens = entry.parts & FIRST and not entry.parts & UNLESS
        nearest = entry if opens else None
    return found, ()


def change(entries: Entries, _: Promises, __: int, *, closing: Closing, within: int) -> Result:
    """Find moments where the subject goes on, on another channel."""
    found: list[Found] = []
    before: Entry | None = None
    for place, entry in enumerate(entries):
        if (
            entry.parts & THEN
            and before is not None
            and entry.at - before.at <= within
            and entry.note.channel != before.note.channel
        ):
            moment = Found(entry.note, (before.event_id, entry.event_id), entry.at)
            found.append(closed(moment, entries, place + 1, closing))
        if entry.parts & WHEN:
            before = entry
    return found, ()


def absence(
    entries: Entries,
    _: Promises,
    watermark: int,
    *,
    closing: Closing,
    due: DueAt,
    each: bool,
) -> Result:
    """Find moments where nothing followed in time."""
    found: list[Found] = []
    pending: list[tuple[int, int]] = []
    ends = AFTER | UNTIL | UNLESS if not each else UNTIL | UNLESS
    for place, entry in enumerate(entries):
        if not entry.parts & AFTER:
            continue
        over = due(entry.at)
        for number in range(place + 1, len(entries)):
            if entries[number].at > over or entries[number].parts & ends:
                break
        else:
            number = len(entries)
        if number < len(entries) and entries[number].at <= over:
            continue  # met, ended or begun anew in time
        if watermark <= over:
            pending.append((entry.at, over))
            continue
        moment = Found(entry.note, (entry.event_id,), over, over)
        found.append(closed(moment, entries, _after(entries, over), closing))
    return found, pending


def promises(
    entries: Entries,
    term: DueAt | None,
    before: int,
    open_for: int,
    watermark: int,
) -> list[Promised]:
    """Find what became of every promise of a subject."""
    found: list[Promised] = []
    for place, entry in enumerate(entries):
        if not entry.parts & MADE:
            continue
        due = entry.note.due
        if due is None or due < entry.at:
            if term is None:
                continue
            due = term(entry.at)
        status, answer = _kept(entries, place, due, before, watermark)
        if status == "broken":
            for number in range(_after(entries, due), len(entries)):
                if entries[number].at > due + open_for:
                    break
                if entries[number].parts & KEPT:
                    status, answer = "kept_late", entries[number].note
                    break
        found.append(Promised(entry.note, due, status, answer, place))
    return found


def _kept(
    entries: Entries, place: int, due: int, before: int, watermark: int
) -> tuple[str, Note | None]:
    made = entries[place]
    if before:
        for number in range(place - 1, -1, -1):
            if made.at - entries[number].at > before:
                break
            if entries[number].parts & KEPT:
                return "kept", entries[number].note
    for number in range(place + 1, len(entries)):
        if entries[number].at > due:
            break
        if entries[number].parts & KEPT:
            return "kept", entries[number].note
        if entries[number].parts & CANCELLED:
            return "cancelled", entries[number].note
    return ("broken" if watermark > due else "pending"), None


def broken(entries: Entries, promised: Promises, _: int, *, closing: Closing) -> Result:
    """Find a moment for every promise that was broken, also if it was kept late."""
    found = [
        closed(
            Found(promise.made, (promise.made.event_id,), promise.due_at, promise.due_at),
            entries,
            _after(entries, promise.due_at),
            closing,
        )
        for promise in promised
        if promise.status in ("broken", "kept_late")
    ]
    return found, ()


def early(
    entries: Entries, promised: Promises, _: int, *, closing: Closing, share: float
) -> Result:
    """Find a moment for every answer that kept a promise within a share of its term.

    An answer that kept several is one moment, with the first of them as evidence.
    """
    found: list[Found] = []
    answers: set[str] = set()
    for promise in promised:
        made, answer = promise.made, promise.answer
        if promise.status != "kept" or answer is None or answer.event_id in answers:
            continue
        if answer.at - made.at <= share * (promise.due_at - made.at):
            answers.add(answer.event_id)
            both = sorted((made, answer), key=lambda note: note[:2])
            evidence = tuple(note.event_id for note in both)
            moment = Found(answer, evidence, answer.at, promise.due_at)
            complete = max(promise.place, _place(entries, answer))
            found.append(closed(moment, entries, complete + 1, closing))
    return found, ()


def _after(entries: Entries, at: int) -> int:
    """Return the place of the first entry later than an instant."""
    return bisect_right(entries, at, key=lambda entry: entry.at)


def _place(entries: Entries, note: Note) -> int:
    return next(place for place, entry in enumerate(entries) if entry.note is note)
