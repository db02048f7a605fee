"""The sequential oracle: what the pipeline must come to, in plain Python over sorted events.

Written from the documentation and not from the code it checks: no columns, no SQL, no batches.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, order=True)
class Step:
    """One event of a customer; the order of the fields is the order of a journey."""

    occurred_at: datetime
    event_id: str
    touchpoint: str
    channel: str
    segment: str


def customers_of(
    events: Iterable[Mapping[str, Any]], touchpoints: Mapping[str, str]
) -> dict[str, list[Step]]:
    """Return each customer's steps in order, every event once.

    Args:
        events: Valid interactions as JSON values; all carry ``customer_id``.
        touchpoints: Touchpoint of each event id.
    """
    seen: dict[tuple[str, str], Step] = {}
    for event in events:
        customer = event["identifiers"]["customer_id"]
        seen.setdefault(
            (customer, event["event_id"]),
            Step(
                datetime.fromisoformat(event["occurred_at"].replace("Z", "+00:00")),
                event["event_id"],
                touchpoints[event["event_id"]],
                event["channel"],
                event.get("segment", ""),
            ),
        )
    found: dict[str, list[Step]] = defaultdict(list)
    for (customer, _), step in seen.items():
        found[customer].append(step)
    return {customer: sorted(steps) for customer, steps in found.items()}


def journeys_of(steps: list[Step], gap: timedelta) -> list[list[Step]]:
    """Cut one customer's steps where the silence is longer than the gap."""
    journeys = [[steps[0]]]
    for before, step in zip(steps, steps[1:], strict=False):
        if step.occurred_at - before.occurred_at > gap:
            journeys.append([])
        journeys[-1].append(step)
    return journeys


def transitions(customers: Mapping[str, list[Step]], gap: timedelta) -> Counter[tuple[str, str]]:
    """Count which touchpoint directly follows which, within journeys."""
    return Counter(
        (before.touchpoint, after.touchpoint)
        for steps in customers.values()
        for journey in journeys_of(steps, gap)
        for before, after in zip(journey, journey[1:], strict=False)
    )


def paths(customers: Mapping[str, list[Step]], gap: timedelta) -> Counter[tuple[str, ...]]:
    """Count the journeys of each path."""
    return Counter(
        tuple(step.touchpoint for step in journey)
        for steps in customers.values()
        for journey in journeys_of(steps, gap)
    )
