"""What is held of a subject: its events, and what was said of it so far."""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime
from typing import NamedTuple

from pipeline.moments.groups import Group
from pipeline.moments.notes import Entry, Found, Promised

#: Key of a cell: customer, number of the group of rules, subject.
Key = tuple[str, int, str]
#: A cell with more entries than this is looked through for what it can forget.
MANY = 32


#: Before every instant there is.
BEGINNING = -(1 << 62)
#: What names something said within a cell: rule (None for a promise) and causing event.
Name = tuple[int | None, str]


class Said(NamedTuple):
    """What was last said of a moment or a promise.

    Attributes:
        what: The moment, or the promise.
        revision: Number of that statement.
        detected_at: When it was first found.
        status: ``withdrawn`` where it turned out never to have been, else empty.
        watermark: Watermark at which it was said.
    """

    what: Found | Promised
    revision: int
    detected_at: datetime
    status: str = ""
    watermark: int = BEGINNING


#: Shared by the many cells of which nothing was said; never written to.
_NOTHING: dict[Name, Said] = {}


class Cell:
    """The events of one subject that the rules of one group look at.

    Attributes:
        entries: The events in order.
        said: What was said last, by rule (None for a promise) and causing event.
        floor: What could no longer change when the watermark was here is not looked at again.
        wake: When to look at it again, or to forget it.
        keep: It can be forgotten once the watermark is later.
        pending: Whether time will decide something at ``wake``.
        scheduled: When it comes up, at the latest at ``wake``; None while it does not.
    """

    __slots__ = ("entries", "floor", "keep", "pending", "said", "scheduled", "wake")

    def __init__(self, floor: int) -> None:
        self.entries: list[Entry] = []
        self.said = _NOTHING
        self.floor = floor
        self.pending = False
        self.scheduled: int | None = None
        self.wake = BEGINNING
        self.keep = BEGINNING

    def tell(self, name: Name, said: Said) -> None:
        """Note what was said of something."""
        if self.said is _NOTHING:
            self.said = {}
        self.said[name] = said

    def add(self, entry: Entry) -> bool:
        """Add an event where it belongs; return False where it is there already."""
        entries = self.entries
        if not entries or entry[:2] > entries[-1][:2]:
            entries.append(entry)
            return True
        place = bisect_left(entries, entry[:2])
        if place < len(entries) and entries[place].event_id == entry.event_id:
            return False
        entries.insert(place, entry)
        return True

    def forget(self, group: Group, watermark: int, oldest: int | None) -> None:
        """Forget events that nothing can depend on any more."""
        before = watermark - group.watched - group.span
        if oldest is not None:
            before = min(before, oldest - group.span)
        place = bisect_left(self.entries, (before, ""))
        if place:
            del self.entries[:place]
            self.floor = max(self.floor, watermark)
