"""Short ways to write a customer's events and what the oracle of moments finds in them.

Times are minutes after Monday 5 January 2026, 00:00 UTC.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from tests.moment_catalog import read
from tests.moment_found import Found, OracleMoment, OraclePromise, Seen
from tests.moment_oracle import find
from tests.moment_streams import as_seen, event

MONDAY = datetime(2026, 1, 5, tzinfo=timezone.utc)
HOUR = 60
DAY = 24 * HOUR
LATER = 365 * DAY


def at(minutes: float) -> datetime:
    return MONDAY + timedelta(minutes=minutes)


def e(touchpoint: str, minutes: float, name: str = "", customer: str = "k", **fields: Any) -> Seen:
    """An event whose id, if not given, is the touchpoint and the time."""
    name = name or f"{touchpoint}{minutes:g}"
    fields.setdefault("identifiers", {"customer_id": customer})
    return as_seen(customer, event(name, touchpoint, at(minutes), **fields))


def found(rules: str, *events: Seen, watermark: float = LATER) -> Found:
    return find(read(rules), events, at(watermark))


def moments(rules: str, *events: Seen, watermark: float = LATER) -> list[OracleMoment]:
    """Everything found, in order of time."""
    result = found(rules, *events, watermark=watermark).moments
    return sorted(result, key=lambda each: (each.occurred_at, each.rule, each.cause))


def brief(rules: str, *events: Seen, watermark: float = LATER) -> list[tuple[str, ...]]:
    """Cause and evidence of everything found, in order of time."""
    return [(each.cause, *each.evidence) for each in moments(rules, *events, watermark=watermark)]


def ends(rules: str, *events: Seen, watermark: float = LATER) -> list[tuple[Any, ...]]:
    """Status, time and closing event of everything found; times in minutes."""
    return [
        (
            each.status,
            None if each.closed_at is None else (each.closed_at - MONDAY) / timedelta(minutes=1),
            each.closed_by,
        )
        for each in moments(rules, *events, watermark=watermark)
    ]


def promises(rules: str, *events: Seen, watermark: float = LATER) -> list[OraclePromise]:
    result = found(rules, *events, watermark=watermark).promises
    return sorted(result, key=lambda each: (each.made_at, each.made_by))


def outcomes(rules: str, *events: Seen, watermark: float = LATER) -> list[tuple[str, str]]:
    """Status and answering event of every promise."""
    return [
        (each.status, each.answered_by) for each in promises(rules, *events, watermark=watermark)
    ]


def rule(kind: str, text: str, name: str = "r", glory: bool = False) -> str:
    of = "glory" if glory else "pain"
    return f'[[rules]]\nid = "{name}"\ntype = "{kind}"\nkind = "{of}"\n{text}\n'


def when(pattern: str) -> str:
    return rule("single", f"when = {{ {pattern} }}")


#: A pain at every a that b resolves, within an hour.
SINGLE = rule("single", 'when.touchpoint = "a"\nresolved_by.touchpoint = "b"\nopen_for = "1h"')
#: The same, retracted by anything on the phone.
BOTH = SINGLE + '[[rules.retracted_by]]\nchannel = "phone"\n'
