"""Stories of one customer, told in few words, and what a catalog's rules find in them.

A line is one interaction: when, channel, action, and what else it says::

    0d10:00 web form_submitted form_id=contact #request_id=Q1 need=get_help !2d10:00

``0d10:00`` is ten o'clock UTC on the first day, a Monday in winter; ``#`` begins a case id, ``!`` a
promise_due_at, ``>`` says outbound and ``<`` inbound, ``nps=3`` (csat, ces, stars) is a rating,
``mood=-0.8`` the sentiment, ``need``, ``segment`` and ``amount`` are fields of the envelope, and
everything else belongs to the details. Lines are in the order of arrival; the first has the id e1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pipeline.catalog import LoadedCatalog
from pipeline.classify import Classification, Classifier
from pipeline.decode import Decoded, decode, known_channels
from pipeline.moments.hours import microseconds
from pipeline.moments.rules import Rules
from pipeline.moments.statements import Statements
from pipeline.moments.whole import changes_in
from pipeline.toml_lines import parse_text
from pipeline.warehouse.ledger_rows import MomentRow, PromiseRow
from schemas.interaction import RATING_SCALES

FOLDER = Path(__file__).parent / "stories"
CUSTOMER = "the customer"
#: A Monday without a change of clocks near it.
FIRST_DAY = datetime(2026, 1, 5, tzinfo=timezone.utc)
_TIME = re.compile(r"^(\d+)d(\d\d):(\d\d)(?::(\d\d))?$")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")


@dataclass(frozen=True)
class Story:
    """What happened to one customer, and what a rule must find in it.

    Attributes:
        rule: Id of the rule.
        why: What the story shows.
        events: Its lines.
        now: What the watermark is at its end.
        found: Each moment as status, time of occurring and of closing, in order; none for a near
            miss.
        promises: Each promise as id, status and time due; only checked where given.
        text: What the person alerted reads, checked where given.
    """

    rule: str
    why: str
    events: str
    now: str
    found: tuple[str, ...]
    promises: tuple[str, ...] | None
    text: str

    def interactions(self, channels: frozenset[str]) -> Iterator[Decoded]:
        """Yield its interactions, valid and in the order of arrival.

        Args:
            channels: Those that the catalog declares.
        """
        for number, line in enumerate(self.events.strip().splitlines(), 1):
            value = json.dumps(event(f"e{number}", line)).encode()
            yield decode(value, known_channels(channels), 1_000_000)


def told() -> list[Story]:
    """Return every story there is."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        for entry in parse_text(path.name, path.read_text(encoding="utf-8"))["story"]:
            promises = entry.pop("promises", None)
            found.append(
                Story(
                    now=entry.pop("now", "60d00:00"),
                    found=tuple(entry.pop("found")),
                    promises=None if promises is None else tuple(promises),
                    text=entry.pop("text", ""),
                    **entry,
                )
            )
    return found


def event(event_id: str, line: str) -> dict[str, Any]:
    """Return the interaction that a line tells."""
    when, channel, action, *words = line.split()
    made: dict[str, Any] = {
        "event_id": event_id,
        "schema_version": "1.0",
        "channel": channel,
        "action": action,
        "occurred_at": at(when).isoformat(),
        "identifiers": {"customer_id": CUSTOMER},
    }
    for word in words:
        name, _, text = word.partition("=")
        if word in "<>":
            made["direction"] = "inbound" if word == "<" else "outbound"
        elif word.startswith("!"):
            made["promise_due_at"] = at(word[1:]).isoformat()
        elif name.startswith("#"):
            made.setdefault("case_ids", {})[name[1:]] = text
        elif name in RATING_SCALES:
            made["rating"] = {"scale": name, "score": _value(text)}
        elif name == "mood":
            made["sentiment"] = _value(text)
        elif name == "amount":
            made |= {"amount": _value(text), "currency": "EUR"}
        elif name in ("need", "segment"):
            made[name] = text
        else:
            made.setdefault("details", {})[name] = _value(text)
    return made


def at(text: str) -> datetime:
    """Return the instant that ``0d10:00`` or ``0d10:00:30`` stands for."""
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no time such as 0d10:00")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return FIRST_DAY + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def shown(instant: datetime) -> str:
    """Return an instant as a story writes it."""
    since = instant - FIRST_DAY
    text = f"{since.days}d{instant:%H:%M}"
    return f"{text}:{instant:%S}" if instant.second else text


class Reader:
    """Finds what a catalog's rules find in stories, with the engine.

    Args:
        loaded: The catalog.
    """

    def __init__(self, loaded: LoadedCatalog) -> None:
        self._channels = loaded.channels
        self._rules = Rules(loaded)
        self._classifier = Classifier(loaded.catalog)
        self._statements = Statements(self._rules)

    def classified(self, story: Story) -> list[tuple[Decoded, Classification]]:
        """Return a story's interactions with what they are."""
        return [
            (decoded, self._classifier.classify(decoded.event))
            for decoded in story.interactions(self._channels)
        ]

    def read(self, story: Story) -> tuple[list[MomentRow], list[PromiseRow]]:
        """Return the moments and promises in a story."""
        now = at(story.now)
        sightings = [
            self._rules.matcher.sighting(
                decoded.event, decoded.interaction, CUSTOMER, classification
            )
            for decoded, classification in self.classified(story)
        ]
        moments: list[MomentRow] = []
        promises: list[PromiseRow] = []
        for change in changes_in(self._rules, filter(None, sightings), now):
            if change.place is None:
                promises.append(self._statements.promise(change, 0, microseconds(now), now))
            else:
                moments.append(self._statements.moment(change, 0, microseconds(now), now))
        return sorted(moments, key=lambda row: row.occurred_at), promises


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.match(text):
        return float(text) if "." in text else int(text)
    return text
