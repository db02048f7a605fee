"""Detection without Kafka and ClickHouse: events in, moments out, with any arrival and batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import orjson

from pipeline.catalog import LoadedCatalog
from pipeline.classify import Classifier
from pipeline.decode import decode, known_channels
from pipeline.moments.cells import Key, Name, Said
from pipeline.moments.detector import Detector
from pipeline.moments.hours import microseconds
from pipeline.moments.matching import Sighting
from pipeline.moments.notes import Found, Promised
from pipeline.moments.rules import STRIKES_PLACE, Rules
from pipeline.moments.unsaid import Change, Recalled

NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)


class Memory:
    """A detector over a warehouse that is a list.

    Args:
        catalog: The catalog.
    """

    def __init__(self, catalog: LoadedCatalog) -> None:
        self.rules = Rules(catalog)
        self._classifier = Classifier(catalog.catalog)
        self._channels = known_channels(catalog.channels)
        self.stored: list[Sighting] = []
        self.said: dict[Key, dict[Name, Said]] = {}
        self.changes: list[Change] = []
        self.detector = Detector(self.rules, self.recall)

    def sighting(self, event: Mapping[str, Any]) -> Sighting | None:
        """Return what an event means to the rules; the customer's key is the customer_id."""
        decoded = decode(orjson.dumps(event), self._channels, 1 << 20)
        customer = event["identifiers"]["customer_id"]
        classification = self._classifier.classify(decoded.event)
        return self.rules.matcher.sighting(
            decoded.event, decoded.interaction, customer, classification
        )

    def recall(self, customers: Sequence[str]) -> Recalled:
        """Return everything stored of some customers."""
        wanted = set(customers)
        return Recalled(
            [sighting for sighting in self.stored if sighting.customer in wanted],
            {key: dict(said) for key, said in self.said.items() if key[0] in wanted},
        )

    def batch(self, events: Iterable[Mapping[str, Any]], watermark: datetime) -> list[Change]:
        """Take a batch: store it, feed it, say what is new."""
        sightings = [found for event in events if (found := self.sighting(event)) is not None]
        self.stored += sightings
        for sighting in sightings:
            self.detector.feed(sighting)
        changes = self.detector.advance(microseconds(watermark), NOW)
        self.say(changes)
        return changes

    def say(self, changes: Sequence[Change]) -> None:
        """Record changes, then confirm them."""
        for change in changes:
            status = "withdrawn" if change.withdrawn else ""
            said = Said(change.what, change.revision, change.detected_at, status)
            self.said.setdefault(change.key, {})[change.place, change.cause] = said
        self.changes += changes
        self.detector.confirm(changes)

    def restart(self) -> None:
        """Begin anew from what is stored and was said."""
        watermark = self.detector.watermark
        self.detector = Detector(self.rules, self.recall, watermark)
        rules, recent = self.rules, []
        oldest = [watermark - rules.looks_back(group) for group in rules.groups]
        promised = {
            sighting.customer
            for sighting in self.stored
            if (due := sighting.note.due) is not None
            and any(max(sighting.note.at, due) >= oldest[part.group] for part in sighting.parts)
        }
        for sighting in self.stored:
            # each group gets what lies within its own reach; a worker's events bring more than that
            if parts := tuple(
                part
                for part in sighting.parts
                if sighting.customer in promised or sighting.note.at >= oldest[part.group]
            ):
                recent.append(sighting._replace(parts=parts))
        facts = [
            (sighting.customer, fact, sighting.note.at, sighting.note.event_id)
            for sighting in self.stored
            for fact in sighting.facts
            if fact in rules.matcher.facts
        ]
        self.detector.restore(Recalled(recent, self._said_since(watermark)), facts)

    def _said_since(self, watermark: int) -> dict[Key, dict[Name, Said]]:
        """What a worker reads of what was said: recent, and all of whom strikes began before."""
        rules = self.rules
        since = watermark - rules.said_reach
        ended = watermark - rules.watched(STRIKES_PLACE, STRIKES_PLACE)
        struck = {
            key[0]
            for key, said in self.said.items()
            for each in said.values()
            if key[1] == STRIKES_PLACE
            and not each.status
            and isinstance(each.what, Found)
            and each.what.occurred_at < since + rules.strikes_window
            and (each.what.closed_at is None or each.what.closed_at >= ended)
        }
        return {
            key: recent
            for key, said in self.said.items()
            if (
                recent := {
                    name: each
                    for name, each in said.items()
                    if key[0] in struck or _asked_at(each.what) >= since
                }
            )
        }

    def moments(self) -> dict[tuple[str, str, str, str], Found]:
        """Return the moments there are, by rule, customer, subject and causing event."""
        return {
            (self.rules.name(place), key[0], key[2], cause): said.what
            for key, statements in self.said.items()
            for (place, cause), said in statements.items()
            if place is not None and isinstance(said.what, Found) and not said.status
        }

    def promises(self) -> dict[tuple[str, str, str, str], Promised]:
        """Return the promises there are, by promise, customer, subject and making event."""
        found = {}
        for key, statements in self.said.items():
            for (place, cause), said in statements.items():
                kept = self.rules.groups[key[1]].promise if place is None else None
                if kept is not None and isinstance(said.what, Promised) and not said.status:
                    found[kept.promise.id, key[0], key[2], cause] = said.what
        return found


def _asked_at(what: Found | Promised) -> int:
    return what.occurred_at if isinstance(what, Found) else what.due_at
