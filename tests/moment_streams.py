"""Streams of events for moments: what happened to a few customers, and in which way it arrives.

Times lie on a coarse grid, so that events often happen at the same instant or exactly when a term
is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

from hypothesis import strategies as st

from pipeline.classify import Classifier
from tests.moment_catalog import CHANNELS, TOUCHPOINTS, read
from tests.moment_found import Seen

#: Friday noon before the clock of Europe goes forward on Sunday.
START = datetime(2026, 3, 27, 12, tzinfo=timezone.utc)
_CUSTOMERS = ("k1", "k2")
#: Lengths of one step of the grid; most terms of the rules are few of them.
_STEPS = (timedelta(minutes=30), timedelta(minutes=30), timedelta(hours=2), timedelta(minutes=10))


@cache
def classifier() -> Classifier:
    """Return the classifier of the made-up catalog; the rules of moments do not change it."""
    return Classifier(read(""))


def event(event_id: str, touchpoint: str, at: datetime, **fields: Any) -> dict[str, Any]:
    """Return a valid interaction on the web, or the channel given, that is at a touchpoint."""
    return {
        "event_id": event_id,
        "schema_version": "1.0",
        "channel": "web",
        "action": touchpoint,
        "occurred_at": at.isoformat(),
        "identifiers": {"customer_id": "C-1"},
        **fields,
    }


def as_seen(customer: str, made: dict[str, Any]) -> Seen:
    """Return an interaction of a customer as detection gets it."""
    at = datetime.fromisoformat(made["occurred_at"]).astimezone(timezone.utc)
    return Seen(customer, made["event_id"], at, made, classifier().classify(made))


@st.composite
def _event(draw: st.DrawFn, event_id: str, step: timedelta, touchpoints: list[str]) -> Seen:
    at = START + step * draw(st.integers(0, 24))
    customer = draw(st.sampled_from(_CUSTOMERS))
    fields = draw(
        st.fixed_dictionaries(
            {"channel": st.sampled_from(CHANNELS)},
            optional={
                "direction": st.sampled_from(["inbound", "outbound"]),
                "segment": st.sampled_from(["gold", "tin"]),
                "need": st.sampled_from(["help", "pay"]),
                "case_ids": st.fixed_dictionaries(
                    {},
                    optional={
                        "ticket_id": st.sampled_from(["1", "2"]),
                        "order_id": st.sampled_from(["1", "2"]),
                    },
                ),
                "details": st.fixed_dictionaries(
                    {}, optional={"campaign": st.sampled_from(["x", "y"])}
                ),
                "rating": st.fixed_dictionaries(
                    {"scale": st.just("stars"), "score": st.integers(2, 4)}
                ),
                "promise_due_at": st.integers(-1, 8).map(
                    lambda steps: (at + step * steps).isoformat()
                ),
            },
        )
    )
    touchpoint = draw(st.sampled_from(touchpoints))
    made = event(event_id, touchpoint, at, identifiers={"customer_id": customer}, **fields)
    return as_seen(customer, made)


@st.composite
def streams(draw: st.DrawFn, most: int = 40) -> list[Seen]:
    """Return what happened, without duplicates and in no particular order.

    Args:
        draw: Given by hypothesis.
        most: Most events there can be.
    """
    step = draw(st.sampled_from(_STEPS))
    # few touchpoints in one stream, so that they have to do with each other
    names = st.lists(
        st.sampled_from([*TOUCHPOINTS, "unknown"]), min_size=1, max_size=4, unique=True
    )
    touchpoints = draw(names)
    size = draw(st.integers(0, most))
    ids = draw(st.permutations([f"{number:02d}" for number in range(size)]))
    return [draw(_event(event_id, step, touchpoints)) for event_id in ids]


@st.composite
def arrivals(draw: st.DrawFn, stream: list[Seen], lateness: timedelta) -> list[list[Seen]]:
    """Return a stream in batches as it may arrive, with duplicates.

    No event comes when one that happened more than ``lateness`` after it has come before it; only
    duplicates may come however late.

    Args:
        draw: Given by hypothesis.
        stream: The events.
        lateness: How much later than a newer event one may come.
    """
    delays = [draw(st.integers(0, int(lateness.total_seconds() // 60))) for _ in stream]
    comes = [
        (seen.occurred_at + timedelta(minutes=delay), draw(st.integers(0, 3)), place)
        for place, (seen, delay) in enumerate(zip(stream, delays, strict=True))
    ]
    arriving = [stream[place] for _, _, place in sorted(comes)]
    for seen in draw(st.lists(st.sampled_from(stream), max_size=5)) if stream else []:
        arriving.insert(draw(st.integers(arriving.index(seen) + 1, len(arriving))), seen)
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(arriving) - 1)), max_size=8)))
    return [
        arriving[begin:end]
        for begin, end in zip([0, *cuts], [*cuts, len(arriving)], strict=True)
        if begin < end
    ]


def latest(events: list[Seen]) -> datetime:
    """Return the newest time of events, that of the start without any."""
    return max((seen.occurred_at for seen in events), default=START)
