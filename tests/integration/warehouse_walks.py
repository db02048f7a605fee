"""What the queries about paths, funnels and retention must answer, in plain Python.

Written from the definitions, not from the SQL. A walk is a journey with all its steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from tests.integration.warehouse_oracle import Record, collapsed, histories, p90, segments_of


class Step(NamedTuple):
    """One interaction."""

    at: datetime
    event_id: str
    touchpoint: str
    channel: str
    stage: str
    outcome: str
    direction: str


@dataclass(frozen=True)
class Walk:
    """A journey."""

    customer: str
    segment: str
    steps: tuple[Step, ...]

    @property
    def path(self) -> list[str]:
        return [step.touchpoint for step in self.steps]

    @property
    def outcome(self) -> str:
        return ([""] + [step.outcome for step in self.steps if step.outcome])[-1]

    @property
    def seconds(self) -> float:
        return (self.steps[-1].at - self.steps[0].at).total_seconds()


#: Outcome of an event, and whether it ends the journey.
Reached = Callable[[Record], tuple[str, bool]]


def walks(found: Iterable[Record], gap: timedelta, reached: Reached) -> list[Walk]:
    """Events as journeys: cut at silences longer than the gap, and after outcomes that end one."""
    events = list(found)
    segments = segments_of(events)
    made = []
    for customer, history in histories(events).items():
        parts: list[list[Step]] = []
        ended, last = True, history[0]["occurred_at"]
        for event in history:
            outcome, ends = reached(event)
            if ended or event["occurred_at"] - last > gap:
                parts.append([])
            names = ("event_id", "touchpoint", "channel", "stage")
            values: dict[str, str] = {name: event[name] for name in names}
            at, direction = event["occurred_at"], event["direction"]
            parts[-1].append(Step(at=at, outcome=outcome, direction=direction, **values))
            ended, last = ends, event["occurred_at"]
        made += [Walk(customer, segments[customer], tuple(part)) for part in parts]
    return made


def chosen(found: Iterable[Walk], asked: Mapping[str, Any]) -> list[Walk]:
    """Journeys that the filters let through."""
    return [
        walk
        for walk in found
        if asked.get("since", walk.steps[0].at) <= walk.steps[0].at
        and walk.steps[0].at < asked.get("until", walk.steps[0].at + timedelta(1))
        and _same(walk.segment, asked.get("segment"))
        and _same(walk.outcome, asked.get("outcome"))
        and all(
            any(getattr(step, name) == asked[name] for step in walk.steps)
            for name in ("channel", "stage", "touchpoint")
            if name in asked
        )
    ]


def chosen_steps(found: Iterable[Walk], asked: Mapping[str, Any]) -> dict[str, list[Step]]:
    """Steps that the filters but ``since`` let through, by customer, in order."""
    steps = defaultdict(list)
    for walk in found:
        if not _same(walk.segment, asked.get("segment")):
            continue
        if not _same(walk.outcome, asked.get("outcome")):
            continue
        for step in walk.steps:
            wanted = {name: asked[name] for name in _OF_STEPS if name in asked}
            early = "until" not in asked or step.at < asked["until"]
            if early and all(getattr(step, name) == value for name, value in wanted.items()):
                steps[walk.customer].append(step)
    return {customer: sorted(taken) for customer, taken in steps.items()}


_OF_STEPS = ("channel", "stage", "touchpoint")


def _same(value: str, wanted: str | None) -> bool:
    return wanted is None or value == ("" if wanted == "(none)" else wanted)


#: One occurrence: path, customer, seconds, whether its journey reached an outcome.
Seen = tuple[str, str, float, bool]


def ranked(seen: Sequence[Seen], top: int) -> list[tuple[str, int, list[Seen]]]:
    """Paths by how often they occur, the rest in one: label, number of paths, occurrences."""
    by_path = defaultdict(list)
    for item in seen:
        by_path[item[0]].append(item)
    order = sorted(by_path.items(), key=lambda pair: (-len(pair[1]), pair[0].encode()))
    kept = len(order) if top == 0 else top
    rows = [(path, 1, items) for path, items in order[:kept]]
    rest = [item for _, items in order[kept:] for item in items]
    if rest:
        rows.append(("(other)", len(order) - kept, rest))
    return rows


def paths(
    found: Iterable[Walk],
    at: str,
    every: bool,
    distances: tuple[int, int],
    collapse: bool,
    top: int,
) -> list[tuple[Any, ...]]:
    """What lies before and after a touchpoint, so many steps each way."""
    before, after = distances
    seen: list[Seen] = []
    for walk in found:
        steps = [
            step
            for number, step in enumerate(walk.steps)
            if not (collapse and number and step.touchpoint == walk.steps[number - 1].touchpoint)
        ]
        places = [number for number, step in enumerate(steps) if step.touchpoint == at]
        for place in places if every else places[:1]:
            first, last = max(place - before, 0), min(place + after, len(steps) - 1)
            names = [step.touchpoint for step in steps[first : last + 1]]
            if before and after:
                names[place - first] = f"[{at}]"
            start = ["(start)"] if place < before else []
            end = ["(end)"] if place + after >= len(steps) else []
            seconds = (steps[last].at - steps[first].at).total_seconds()
            seen.append((" > ".join(start + names + end), walk.customer, seconds, False))
    return [
        (
            path,
            number,
            len(items),
            len({item[1] for item in items}),
            len(items) / len(seen),
            median(item[2] for item in items),
        )
        for path, number, items in ranked(seen, top)
    ]


def variants(found: Sequence[Walk], collapse: bool, top: int) -> list[tuple[Any, ...]]:
    """Whole paths."""
    seen = []
    for walk in found:
        path = collapsed(walk.path) if collapse else walk.path
        seen.append((" > ".join(path), walk.customer, walk.seconds, bool(walk.outcome)))
    rows: list[tuple[Any, ...]] = []
    total = 0
    for label, number, items in ranked(seen, top):
        total += len(items)
        rows.append(
            (
                label,
                number,
                None if label == "(other)" else label.count(" > ") + 1,
                len(items),
                len({item[1] for item in items}),
                len(items) / len(seen),
                total / len(seen),
                median(item[2] for item in items),
                sum(item[3] for item in items) / len(items),
            )
        )
    return rows


def drop_off(found: Sequence[Walk], by: str) -> list[tuple[Any, ...]]:
    """Where journeys end."""
    lost = [walk for walk in found if not walk.outcome]
    rows = []
    for name in {getattr(step, by) for walk in found for step in walk.steps}:
        met = [walk for walk in found if any(getattr(step, by) == name for step in walk.steps)]
        ended = [walk for walk in met if getattr(walk.steps[-1], by) == name]
        dropped = [walk for walk in ended if not walk.outcome]
        customers = {walk.customer for walk in dropped}
        shares = (len(ended) / len(met), len(dropped) / len(met))
        of_all = len(dropped) / len(lost) if lost else 0
        counts = (len(met), len(ended), len(dropped), len(customers))
        rows.append((name, *counts, *shares, of_all))
    return sorted(rows, key=lambda row: (-row[3], -row[2], -row[1], row[0].encode()))


def units(found: Iterable[Walk], per: str) -> list[list[Step]]:
    """What is counted: the steps of each journey, or of each customer."""
    if per == "journey":
        return [list(walk.steps) for walk in found]
    together: dict[str, list[Step]] = defaultdict(list)
    for walk in found:
        together[walk.customer] += walk.steps
    return [sorted(steps) for steps in together.values()]


def conversion(
    counted: Sequence[Sequence[Step]], stages: Sequence[str], outcomes: Sequence[str]
) -> list[tuple[Any, ...]]:
    """From each stage to each later one and to each outcome."""
    rows = []
    for place, stage in enumerate(stages):
        seconds: dict[str, list[float]] = {name: [] for name in stages[place + 1 :]}
        seconds |= {f"outcome:{name}": [] for name in outcomes}
        reached = 0
        for steps in counted:
            first = next((n for n, step in enumerate(steps) if step.stage == stage), None)
            if first is None:
                continue
            reached += 1
            later = steps[first:]
            for target, taken in seconds.items():
                kind, _, name = target.rpartition(":")
                for step in later:
                    if name == (step.outcome if kind else step.stage):
                        taken.append((step.at - later[0].at).total_seconds())
                        break
        for target, taken in seconds.items():
            share = len(taken) / reached if reached else 0
            times = (median(taken), p90(taken)) if taken else (None, None)
            rows.append((stage, target, reached, len(taken), share, *times))
    return rows
