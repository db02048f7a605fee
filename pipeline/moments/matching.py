"""Which rules an event plays a part in, and what is kept of it.

What the event alone decides is decided here; what depends on the customer's past travels along as
``State``. The same sighting comes from an event that just arrived and from its stored row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from pipeline.accepted import Accepted
from pipeline.classify import Classification, Event
from pipeline.moments.candidates import Candidate, Kind, Part, Show, asked, candidate
from pipeline.moments.groups import Group
from pipeline.moments.hours import microseconds
from pipeline.moments.notes import THEN, WHEN, Note
from schemas.catalog import UNCLASSIFIED, Catalog, StageAfter
from schemas.patterns import Pattern

#: Columns of ``interaction_records`` that ``Matcher.stored`` reads, and the partition.
COLUMNS = (
    "partition",
    "customer_key",
    "event_id",
    "occurred_at",
    "channel",
    "action",
    "direction",
    "touchpoint",
    "need",
    "stage_default",
    "stage_after",
    "facts",
    "promise_due_at",
    "segment",
    "language",
    "case_ids",
    "rating_scale",
    "rating_score",
    "sentiment",
    "amount",
    "currency",
    "details",
)
#: Kinds of events whose rules are remembered; actions are open-ended.
_MOST_KINDS = 100_000


class Sighting(NamedTuple):
    """An event that matters to some rule.

    Attributes:
        customer: The customer's key.
        note: What is kept of it.
        parts: What it plays where.
        facts: What the customer has done by it, of what rules ask about.
    """

    customer: str
    note: Note
    parts: tuple[Part, ...]
    facts: tuple[str, ...]


class Selected(NamedTuple):
    """What the rules have to do with a kind of event, worked out once.

    Attributes:
        always: What every event of the kind plays.
        shows: Fields that are shown for that.
        asked: Groups of rules that look at more than the kind.
    """

    always: tuple[Part, ...]
    shows: tuple[Show, ...]
    asked: tuple[Candidate, ...]


#: Most kinds of events mean nothing to any rule.
NOTHING = Selected((), (), ())


class Matcher:
    """Finds the parts of events.

    Args:
        catalog: The catalog.
        groups: Its rules.
    """

    def __init__(self, catalog: Catalog, groups: Sequence[Group]) -> None:
        self._groups = groups
        self._kinds: dict[Kind, Selected] = {}
        patterns = [
            pattern for group in groups for _, pattern in group.parts if pattern.moment is None
        ]
        self.facts = _facts(catalog, patterns)
        self.fact_touchpoints = {
            touchpoint
            for fact in catalog.facts
            if fact.id in self.facts
            for touchpoint in fact.touchpoints
        }
        self._known = [UNCLASSIFIED, *(touchpoint.id for touchpoint in catalog.touchpoints)]

    def touchpoints(self) -> list[str]:
        """Return the touchpoints that matter to any rule or fact."""
        found = set(self.fact_touchpoints)
        for group in self._groups:
            for _, pattern in group.parts:
                if pattern.moment is None:
                    found.update(self._known if pattern.touchpoint is None else pattern.touchpoint)
        return sorted(found)

    def sighting(
        self,
        event: Event,
        interaction: Accepted,
        customer: str,
        classification: Classification,
        occurred_at: datetime | None = None,
    ) -> Sighting | None:
        """Return what an event means to the rules, or None where it means nothing.

        Args:
            event: The valid event as JSON values.
            interaction: The same, validated.
            customer: The customer's key.
            classification: What it is.
            occurred_at: When it happened, where that is not what it says.
        """
        kind = (classification.touchpoint, interaction.channel, interaction.action)
        selected = self._kinds.get(kind)
        if selected is None:
            selected = self._select(kind)
        facts = self._facts_of(classification.facts)
        if selected is NOTHING and not facts:
            return None
        amount = interaction.amount
        if amount is not None and type(event["amount"]) is str:  # stored, it is a number
            event = {**event, "amount": float(amount)}
        return self._sighting(
            selected,
            facts,
            event,
            customer,
            interaction.event_id,
            occurred_at or interaction.occurred_at,
            interaction.promise_due_at,
            interaction.need or classification.need,
            classification,
        )

    def stored(self, row: Mapping[str, Any]) -> Sighting | None:
        """Return the same for a stored row.

        Args:
            row: Columns of ``interaction_records`` by name.
        """
        kind = (row["touchpoint"], row["channel"], row["action"])
        selected = self._kinds.get(kind)
        if selected is None:
            selected = self._select(kind)
        facts = self._facts_of(row["facts"])
        if selected is NOTHING and not facts:
            return None
        event = {
            name: row[name] or None
            for name in ("channel", "action", "direction", "segment", "language", "currency")
        }
        event["sentiment"], event["case_ids"] = row["sentiment"], row["case_ids"]
        event["amount"] = None if row["amount"] is None else float(row["amount"])
        event["details"] = orjson.loads(row["details"])
        if row["rating_scale"]:
            event["rating"] = {"scale": row["rating_scale"], "score": row["rating_score"]}
        due = row["promise_due_at"]
        event["promise_due_at"] = None if due is None else due.isoformat()
        classification = Classification(
            row["touchpoint"],
            row["need"],
            row["stage_default"],
            tuple(
                StageAfter(fact=fact, times=times, stage=stage)
                for fact, times, stage in row["stage_after"]
            ),
            tuple(row["facts"]),
        )
        return self._sighting(
            selected,
            facts,
            event,
            row["customer_key"],
            row["event_id"],
            row["occurred_at"],
            due,
            row["need"],
            classification,
        )

    def _sighting(
        self,
        selected: Selected,
        facts: tuple[str, ...],
        event: Event,
        customer: str,
        event_id: str,
        at: datetime,
        due: datetime | None,
        need: str,
        classification: Classification,
    ) -> Sighting | None:
        found, shows, open_to = selected
        if open_to:
            parts, fields = asked(open_to, event, need, classification)
            found, shows = found + parts, shows + fields
        if not found and not facts:
            return None
        values = None
        if shows:
            values = {path: value for path, read in shows if (value := read(event)) is not None}
        note = Note(
            microseconds(at),
            event_id,
            event["channel"],
            classification.touchpoint,
            need,
            event.get("segment") or "",
            None if due is None else microseconds(due),
            values or None,
        )
        return Sighting(customer, note, found, facts)

    def _facts_of(self, facts: Sequence[str]) -> tuple[str, ...]:
        if not facts or not self.facts:
            return ()
        return tuple(fact for fact in facts if fact in self.facts)

    def _select(self, kind: Kind) -> Selected:
        candidates = [fitting for group in self._groups if (fitting := candidate(group, kind))]
        always = [each for each in candidates if each.always]
        selected = Selected(
            tuple(Part(each.group.number, "", each.certain, ()) for each in always),
            tuple(show for each in always if each.certain & (WHEN | THEN) for show in each.shows),
            tuple(each for each in candidates if not each.always),
        )
        if selected == NOTHING:
            selected = NOTHING
        if len(self._kinds) < _MOST_KINDS:
            self._kinds[kind] = selected
        return selected


def _facts(catalog: Catalog, patterns: Sequence[Pattern]) -> dict[str, int]:
    """Return the facts that rules ask about, with how many times at most."""
    found: dict[str, int] = {}
    for pattern in patterns:
        if pattern.customer is not None:
            fact, times = pattern.customer.fact, pattern.customer.times
            found[fact] = max(found.get(fact, 0), times)
    if any(pattern.stage is not None for pattern in patterns):
        for touchpoint in catalog.touchpoints:
            for option in touchpoint.stage_after:
                found[option.fact] = max(found.get(option.fact, 0), option.times)
    return found
