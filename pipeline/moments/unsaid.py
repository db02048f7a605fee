"""The difference between what events show and what was said last: what there is to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from pipeline.moments.cells import Cell, Key, Name, Said
from pipeline.moments.groups import Outcome
from pipeline.moments.matching import Sighting
from pipeline.moments.notes import Found, Note, Promised
from pipeline.moments.rules import STRIKES_PLACE, Rules


class Change(NamedTuple):
    """Something to say: a moment or a promise that is new, or not as was said last.

    Attributes:
        key: Its cell: customer, group, subject.
        place: Place of the rule in the catalog; None for a promise.
        what: The moment or the promise.
        revision: How often something was said of it, with this.
        detected_at: When it was first found.
        withdrawn: It turned out never to have been.
    """

    key: Key
    place: int | None
    what: Found | Promised
    revision: int
    detected_at: datetime
    withdrawn: bool

    @property
    def cause(self) -> str:
        """Return the id of the causing event."""
        return cause_of(self.what).event_id


@dataclass
class Recalled:
    """What is stored of some customers.

    Attributes:
        sightings: Every event that matters.
        said: What was said last, by cell.
    """

    sightings: list[Sighting] = field(default_factory=list)
    said: dict[Key, dict[Name, Said]] = field(default_factory=dict)


#: Reads what is stored of customers, for events that come late.
Recall = Callable[[Sequence[str]], Recalled]


#: Hears what became of a moment (cell, rule, causing event): None where it is none.
Hear = Callable[[Key, int, str, Found | None], None]


class Unsaid:
    """What there is to say, until it is confirmed.

    Args:
        rules: The rules.
        hear: Told of every moment that is looked at.
    """

    def __init__(self, rules: Rules, hear: Hear) -> None:
        self._rules = rules
        self._hear = hear
        self._changes: dict[tuple[Key, Name], Change] = {}

    def changes(self) -> list[Change]:
        """Return everything there is to say."""
        return list(self._changes.values())

    def said(self, change: Change) -> None:
        """Take note that a change was said, unless there is another by now."""
        name = (change.place, change.cause)
        if self._changes.get((change.key, name)) is change:
            del self._changes[change.key, name]

    def differ(self, key: Key, cell: Cell, outcome: Outcome, watermark: int, now: datetime) -> None:
        """Note what there is to say of a cell, and forget what nobody will look at again.

        Args:
            key: The cell.
            cell: What is held of it.
            outcome: What its events show.
            watermark: The present watermark.
            now: Written as the time of detection.
        """
        found: dict[Name, Found | Promised] = {
            (place, moment.cause.event_id): moment for place, moment in outcome.moments
        }
        for promised in outcome.promises:
            found[None, promised.made.event_id] = promised
        for name, what in found.items():
            self._compare(key, cell, name, what, watermark, now)
        for name, said in list(cell.said.items()):
            if name not in found:
                self._missing(key, cell, name, said, watermark)
        for name, said in list(cell.said.items()):
            if (key, name) not in self._changes and self.past(key, name[0], said, cell.floor):
                del cell.said[name]

    def _compare(
        self,
        key: Key,
        cell: Cell,
        name: Name,
        what: Found | Promised,
        watermark: int,
        now: datetime,
    ) -> None:
        place, cause = name
        said = cell.said.get(name)
        if self._settled(key, place, what, cell.floor) and not (
            place == STRIKES_PLACE
            and said is not None
            and not self.past(key, place, said, cell.floor)
        ):
            return
        if isinstance(what, Found) and place is not None:
            self._hear(key, place, cause, what)
        if (
            said is not None
            and not said.status
            and (_equal(said.what, what) or said.watermark > watermark)
        ):
            self._changes.pop((key, name), None)
            return
        revision = 1 if said is None else said.revision + 1
        detected = now if said is None else said.detected_at
        self._changes[key, name] = Change(key, place, what, revision, detected, False)

    def _missing(self, key: Key, cell: Cell, name: Name, said: Said, watermark: int) -> None:
        place, cause = name
        self._changes.pop((key, name), None)
        if said.status or self.past(key, place, said, cell.floor):
            return
        if said.watermark > watermark:  # before a restart, and not known here yet
            return
        if place is not None:
            self._hear(key, place, cause, None)
        self._changes[key, name] = Change(
            key, place, said.what, said.revision + 1, said.detected_at, True
        )

    def past(self, key: Key, place: int | None, said: Said, floor: int) -> bool:
        """Whether nothing that is looked at now can change what was said."""
        what = said.what
        if said.status and isinstance(what, Found):  # withdrawn, it stands no longer than it began
            what = what._replace(status="retracted", closed_at=None)
        return self._settled(key, place, what, floor)

    def lasts(self, moment: Found, floor: int) -> bool:
        """Whether strikes can still change: as long as pains follow each other, and a while."""
        if moment.status == "open":
            return True
        ended = moment.occurred_at if moment.closed_at is None else moment.closed_at
        return ended + self._rules.watched(STRIKES_PLACE, STRIKES_PLACE) >= floor

    def _settled(self, key: Key, place: int | None, what: Found | Promised, floor: int) -> bool:
        if isinstance(what, Promised):
            promise = self._rules.groups[key[1]].promise
            late = 0 if promise is None else promise.late
            return max(what.due_at, what.made.at) + late < floor
        if place == STRIKES_PLACE:
            return not self.lasts(what, floor)
        watched = 0 if place is None else self._rules.watched(key[1], place)
        return what.occurred_at + watched < floor


def cause_of(what: Found | Promised) -> Note:
    """Return the event that caused a moment, or made a promise."""
    return what.cause if isinstance(what, Found) else what.made


def _equal(said: Found | Promised, what: Found | Promised) -> bool:
    """Whether the same was said already; the notes of what is stored are not all there."""
    if isinstance(said, Found):
        return isinstance(what, Found) and said[1:] == what[1:]
    if isinstance(what, Found) or (said.due_at, said.status) != (what.due_at, what.status):
        return False
    return (said.answer and said.answer.event_id) == (what.answer and what.answer.event_id)
