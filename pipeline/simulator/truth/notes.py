"""Notes of one customer's life, and what is found in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.simulator.company import BUYING, SERVICE_NEEDS
from pipeline.simulator.trip import Step


class Note(NamedTuple):
    """Something that happened to a customer.

    Attributes:
        at: When, milliseconds.
        event_id: Its id.
        step: What it was.
    """

    at: int
    event_id: str
    step: Step

    @property
    def touchpoint(self) -> str:
        """Touchpoint it was meant to be."""
        return self.step.touchpoint

    @property
    def channel(self) -> str:
        """Channel it happened on."""
        return self.step.channel

    @property
    def action(self) -> str:
        """What happened."""
        return self.step.action

    @property
    def direction(self) -> str | None:
        """From the customer (inbound) or to the customer (outbound), where the event says it."""
        return self.step.extra.get("direction")

    @property
    def need(self) -> str:
        """What the customer wanted, if it is something of service or the event says it."""
        return self.step.extra.get("need") or SERVICE_NEEDS.get(self.touchpoint, "")

    @property
    def arrived(self) -> bool:
        """Whether something that was sent arrived; an email that bounced did not."""
        return self.action in ARRIVED

    @property
    def sentiment(self) -> float:
        """Mood from -1 to 1, 0 where nobody knows."""
        return float(self.step.extra.get("sentiment", 0.0))

    @property
    def bought(self) -> bool:
        """Whether something was bought."""
        return self.touchpoint in BUYING

    def detail(self, name: str) -> Any:
        """Return one of the details, or None."""
        return self.step.details.get(name)

    def has(self, kind: str) -> bool:
        """Return whether it carries such a number (order_id, ...)."""
        return kind in self.step.extra.get("case_ids", ())

    def case(self, *kinds: str) -> str:
        """Return the first of these numbers that it carries, with its kind, or nothing."""
        cases = self.step.extra.get("case_ids", {})
        return next((f"{kind}:{cases[kind]}" for kind in kinds if kind in cases), "")

    def score(self, scale: str, low: float, high: float = 10) -> bool:
        """Return whether it is a score on this scale, from low to high."""
        rating = self.step.extra.get("rating")
        if rating is None or rating["scale"] != scale:
            return False
        return bool(low <= rating["score"] <= high)


Notes = list[Note]
ARRIVED = frozenset(
    {"email_delivered", "message_delivered", "notification_delivered", "letter_delivered"}
)
Test = Callable[[Note], bool]


@dataclass(slots=True)
class Found:
    """A moment of truth in a customer's life; times in milliseconds."""

    rule: str
    kind: str
    cause: str
    occurred_at: int
    due_at: int | None = None
    status: str = "open"
    closed_at: int | None = None
    closed_by: str = ""

    def close(self, status: str, note: Note) -> Found:
        """Say what closed it."""
        self.status, self.closed_at, self.closed_by = status, note.at, note.event_id
        return self


def pain(rule: str, cause: Note) -> Found:
    """Return a pain that its cause itself is."""
    return Found(rule, "pain", cause.event_id, cause.at)


def overdue(rule: str, cause: Note, due: int) -> Found:
    """Return the pain of something that was due and did not happen."""
    return Found(rule, "pain", cause.event_id, due, due)


def glory(rule: str, cause: Note, due: int | None = None) -> Found:
    """Return a glory; of something promised with when it was due."""
    return Found(rule, "glory", cause.event_id, cause.at, due)


def never(note: Note) -> bool:
    """Return false: nothing of the kind."""
    return False


def mended(found: Found, later: Notes, wait: int, mends: Test, spoils: Test = never) -> Found:
    """Close what is found by the first later note, within so long, that mends or disproves it."""
    for note in later:
        if note.at > found.occurred_at + wait:
            break
        if spoils(note):
            return found.close("retracted", note)
        if mends(note):
            return found.close("resolved", note)
    return found


def after(notes: Notes, at: int) -> Notes:
    """Return the notes later than an instant."""
    return [note for note in notes if note.at > at]


def apart(notes: Notes, subject: Callable[[Note], str]) -> Iterator[Notes]:
    """Yield the notes of each subject apart."""
    subjects: dict[str, Notes] = {}
    for note in notes:
        subjects.setdefault(subject(note), []).append(note)
    yield from subjects.values()


def where(notes: Notes, test: Test) -> Iterator[tuple[Note, Notes]]:
    """Yield each note of which something is true, with the notes after it."""
    for number, note in enumerate(notes, 1):
        if test(note):
            yield note, notes[number:]


def full(notes: Notes, test: Test, many: int, within: int, resets: Test = never) -> Iterator[Note]:
    """Yield each note that makes it so many within a time, where the one before it did not."""
    times: list[int] = []
    was_full = False
    for note in notes:
        if resets(note):
            times, was_full = [], False
        elif test(note):
            times = [time for time in times if note.at - time <= within] + [note.at]
            if len(times) >= many and not was_full:
                yield note
            was_full = len(times) >= many
