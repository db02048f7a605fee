"""Which steps and journeys filters leave, and what handoffs, channels and usage must be.

In plain Python, written from the headers of the queries, not from the SQL.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Any

from tests.integration.warehouse_effect import (
    CHANNELS,
    NEEDS,
    OWNERS,
    SEGMENTS,
    TOUCHPOINTS,
    WEIGHTS,
    reached,
)
from tests.integration.warehouse_oracle import Record, cut, histories, segments_of

Row = tuple[Any, ...]
Filters = Mapping[str, Any]
GAP = timedelta(days=14)


def journeys(events: Iterable[Record]) -> list[list[Record]]:
    """Return every journey's events in order, each with the segment and the outcome it has."""
    found = list(events)
    segments = segments_of(found)
    made = []
    for customer, steps in histories(found).items():
        for part in cut(steps, GAP):
            outcomes = [reached(step) for step in part if reached(step)]
            more = {
                "segment": segments[customer],
                "journey_outcome": ([""] + outcomes)[-1],
            }
            made.append([{**step, **more, "outcome": reached(step)} for step in part])
    return made


def chosen_steps(events: Iterable[Record], filters: Filters) -> list[Record]:
    """Return the events that filters on steps leave."""
    steps = [step for journey in journeys(events) for step in journey]
    since, until = filters["since"], filters["until"]
    taken = [step for step in steps if since <= step["occurred_at"] < until]
    for name in ("channel", "stage", "touchpoint"):
        if name in filters:
            taken = [step for step in taken if step[name] == filters[name]]
    return [step for step in taken if _of_whom(step, filters)]


def chosen_journeys(events: Iterable[Record], filters: Filters) -> list[list[Record]]:
    """Return the journeys that filters on journeys leave, whole."""
    since, until = filters["since"], filters["until"]
    taken = [steps for steps in journeys(events) if since <= steps[0]["occurred_at"] < until]
    for name in ("channel", "stage", "touchpoint"):
        if name in filters:
            taken = [steps for steps in taken if filters[name] in {step[name] for step in steps}]
    return [steps for steps in taken if _of_whom(steps[0], filters)]


def _of_whom(step: Record, filters: Filters) -> bool:
    for name, column in (("segment", "segment"), ("outcome", "journey_outcome")):
        if name in filters:
            wanted = "" if filters[name] == "(none)" else filters[name]
            if step[column] != wanted:
                return False
    return True


def handoffs(events: Sequence[Record], asked: set[tuple[str, str]], filters: Filters) -> list[Row]:
    """Return handoffs by their channels; ``asked`` are the events that asked again."""
    counted = {_identity(step) for step in chosen_steps(events, filters)}
    pairs = defaultdict(list)
    for customer, steps in histories(events).items():
        came = [_handed(steps, number) for number in range(len(steps))]
        for number, (step, before) in enumerate(zip(steps, came, strict=True)):
            if before is not None and _identity(step) in counted:
                seconds = (step["occurred_at"] - before["occurred_at"]).total_seconds()
                lossy = any(_asked_again(case, number, steps, came, asked) for case in cases(step))
                pairs[before["channel"], step["channel"]].append((customer, step, seconds, lossy))
    everything = sum(map(len, pairs.values()))
    return [
        (
            start,
            end,
            len(seen),
            len(seen) / everything,
            sum(step["direction"] == "inbound" for _, step, _, _ in seen),
            sum(step["direction"] == "" for _, step, _, _ in seen),
            len({customer for customer, *_ in seen}),
            median(seconds for _, _, seconds, _ in seen),
            sum(lossy for *_, lossy in seen),
            sum(lossy for *_, lossy in seen) / len(seen),
        )
        for (start, end), seen in sorted(pairs.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def cases(step: Record) -> set[tuple[str, str]]:
    """Return the threads that an event belongs to."""
    return set(step["case_ids"].items())


def _identity(step: Record) -> tuple[str, str]:
    return step["customer_key"], step["event_id"]


def _handed(steps: list[Record], number: int) -> Record | None:
    """Return the event that a handoff took over from; None where the step is none."""
    shared = [step for step in steps[:number] if cases(step) & cases(steps[number])]
    if shared and shared[-1]["channel"] != steps[number]["channel"]:
        return shared[-1]
    return None


def _asked_again(
    case: tuple[str, str],
    number: int,
    steps: list[Record],
    came: list[Record | None],
    asked: set[tuple[str, str]],
) -> bool:
    for place in range(number, len(steps)):
        if case in cases(steps[place]):
            if place > number and came[place] is not None:
                return False
            if _identity(steps[place]) in asked:
                return True
    return False


def channel_census(steps: Sequence[Record]) -> list[Row]:
    """Need by channel."""
    needs = NEEDS + sorted({step["need"] for step in steps} - set(NEEDS))
    channels = CHANNELS + sorted({step["channel"] for step in steps} - set(CHANNELS))
    serving = {need: {name for name, _, _, of in TOUCHPOINTS if need in of} for need in needs}
    rows = []
    for need in needs:
        wanted = [step for step in steps if step["need"] == need]
        for channel in channels:
            here = [step for step in wanted if step["channel"] == channel]
            met = {step["touchpoint"] for step in steps if step["channel"] == channel}
            rows.append(
                (
                    need,
                    channel,
                    len(here),
                    len({step["customer_key"] for step in here}),
                    len(here) / len(wanted) if wanted else 0.0,
                    len({step["channel"] for step in wanted}),
                    len(serving[need]),
                    len(serving[need] & met),
                )
            )
    return rows


def channel_preference(steps: Sequence[Record]) -> list[Row]:
    """Need and segment, with the two channels that customers came on most."""
    came = [step for step in steps if step["direction"] != "outbound"]
    needs = NEEDS + sorted({step["need"] for step in came} - set(NEEDS))
    segments = SEGMENTS + sorted({step["segment"] for step in came} - set(SEGMENTS))
    rows = []
    for need in needs:
        for segment in segments:
            cell = [step for step in came if (step["need"], step["segment"]) == (need, segment)]
            by_channel = defaultdict(list)
            for step in cell:
                by_channel[step["channel"]].append(step["customer_key"])
            ranked = sorted(
                (
                    (-len(keys), -len(set(keys)), _rank(CHANNELS, channel), channel)
                    for channel, keys in by_channel.items()
                ),
            )
            best = [
                (channel, -times / len(cell), -times, -customers)
                for times, customers, _, channel in ranked
            ] + [("", 0.0, 0, 0)] * 2
            unknown = sum(step["direction"] == "" for step in cell)
            customers = len({step["customer_key"] for step in cell})
            rows.append(
                (need, segment, *best[0][:3], *best[1][:3], len(cell), customers, unknown)
                + (len(ranked), best[0][3], best[1][3])
            )
    return rows


def _rank(known: list[str], name: str) -> int:
    return known.index(name) if name in known else len(known)


def usage(steps: Sequence[Record], over: float, under: float) -> list[Row]:
    """Every touchpoint of the catalog, with what is wanted of it."""
    used = {name: [step for step in steps if step["touchpoint"] == name] for name in OWNERS}
    everything = sum(map(len, used.values()))
    in_stage: Counter[str] = Counter()
    for _, stage, importance, _ in TOUCHPOINTS:
        in_stage[stage] += importance
    rows: list[Row] = []
    for name, stage, importance, _ in TOUCHPOINTS:
        share = len(used[name]) / everything if everything else 0.0
        expected = WEIGHTS[stage] * importance / in_stage[stage]
        ratio = share / expected if expected else None
        if not used[name]:
            verdict = "unused"
        elif ratio is None or ratio >= over:
            verdict = "over"
        else:
            verdict = "under" if ratio <= under else "as wanted"
        customers = len({step["customer_key"] for step in used[name]})
        counts = (len(used[name]), customers, share, expected, ratio, verdict)
        rows.append((name, stage, OWNERS[name], importance, *counts))
    return rows
