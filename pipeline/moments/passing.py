"""Events that can only end something, while nothing has begun that they could end.

Most events are of this kind: a delivered mail, a paid order. One that begins something may still
come, and have happened before, so they are kept until that is over; but once, and not in cells of
their own (measured: two thirds of what events play, and cells that were dropped without a look).
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.moments.candidates import Part
from pipeline.moments.cells import BEGINNING
from pipeline.moments.notes import Entry, Note

#: Of each customer the events, with what they play where.
_Events = dict[str, list[tuple[Note, list[Part]]]]


class Passing:
    """Such events by customer."""

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def add(self, customer: str, note: Note, parts: list[Part], span: int) -> None:
        """Keep an event.

        Args:
            customer: The customer's key.
            note: The event.
            parts: What it plays where.
            span: How long before something begins it can matter, microseconds.
        """
        kept = self._kept.get(span)
        if kept is None:
            kept = self._kept[span] = _Kept()
        kept.until = max(kept.until, note.at + span)
        kept.events.setdefault(customer, []).append((note, parts))

    def of(self, customer: str, group: int, subject: str) -> Iterator[Entry]:
        """Yield what is kept of a subject, in no order."""
        for kept in self._kept.values():
            for events in (kept.events, kept.earlier):
                for note, parts in events.get(customer, ()):
                    for part in parts:
                        if part.group == group and part.subject == subject:
                            yield Entry(note.at, note.event_id, part.parts, note)

    def drop(self, customer: str) -> None:
        """Forget everything of a customer."""
        for kept in self._kept.values():
            kept.events.pop(customer, None)
            kept.earlier.pop(customer, None)

    def forget(self, watermark: int) -> None:
        """Forget what cannot matter any more, sooner or later: kept longer, it does no harm."""
        for kept in self._kept.values():
            kept.forget(watermark)


class _Kept:
    """Events that are kept equally long, in two halves.

    The older half goes as a whole when the last of it is over: one by one, forgetting cost as much
    as keeping.

    Attributes:
        events: The later half.
        until: When the last of it is over.
        earlier: The older half.
    """

    __slots__ = ("_earlier_until", "earlier", "events", "until")

    def __init__(self) -> None:
        self.events: _Events = {}
        self.until = BEGINNING
        self.earlier: _Events = {}
        self._earlier_until = BEGINNING

    def forget(self, watermark: int) -> None:
        """Forget the older half, if it is over."""
        while self._earlier_until < watermark and (self.events or self.earlier):
            self.earlier, self._earlier_until = self.events, self.until
            self.events, self.until = {}, BEGINNING
