"""The moments of customers, as far as rules about moments look at them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from pipeline.moments.groups import Group
from pipeline.moments.notes import Entry
from pipeline.moments.rules import refers
from pipeline.moments.strikes import Pain

#: What names a moment of a customer: group, subject, rule, causing event.
Name = tuple[int, str, int, str]


class Lives:
    """Open and resolved moments by customer."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Name, Pain]] = {}

    def put(self, customer: str, name: Name, moment: Pain) -> bool:
        """Note a moment; return whether that is news."""
        known = self._known.setdefault(customer, {})
        if known.get(name) == moment:
            return False
        known[name] = moment
        return True

    def remove(self, customer: str, name: Name) -> bool:
        """Forget a moment that is none; return whether that is news."""
        return self._known.get(customer, {}).pop(name, None) is not None

    def of(self, customer: str) -> list[Pain]:
        """Return the customer's moments in order."""
        return sorted(self._known.get(customer, {}).values())

    def forget(self, customer: str, before: int) -> None:
        """Forget moments that occurred, and were resolved if they were, before an instant."""
        known = self._known.get(customer, {})
        for name, moment in list(known.items()):
            if max(moment.at, moment.resolved_at or moment.at) < before:
                del known[name]
        if not known:
            self._known.pop(customer, None)


def merged(
    entries: Sequence[Entry], moments: Sequence[Pain], group: Group, over: frozenset[str]
) -> list[Entry]:
    """Return what the rules of a group look at: events, and moments as if they were events.

    At one instant events come before moments, and what was resolved before what began.

    Args:
        entries: The events.
        moments: The customer's moments.
        group: The group.
        over: Rules whose moments no rule looks at.
    """
    found = [((entry.at, 0, entry.event_id), entry) for entry in entries]
    for moment in moments:
        if moment.rule in over:
            continue
        opened = resolved = 0
        for part, pattern in group.parts:
            ref = pattern.moment
            if ref is None or not refers(ref, moment.kind, moment.rule):
                continue
            if ref.status == "open":
                opened |= part
            else:
                resolved |= part
        for at, rank, parts in ((moment.resolved_at, 1, resolved), (moment.at, 2, opened)):
            if parts and at is not None:
                note = moment.note._replace(at=at, event_id=moment.moment_id)
                entry = Entry(at, moment.moment_id, parts, note)
                found.append(((at, rank, moment.moment_id), entry))
    found.sort(key=itemgetter(0))
    return [entry for _, entry in found]
