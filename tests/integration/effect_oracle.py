"""What handoffs, channels, usage, effectiveness and contribution must be, in plain Python.

Written from the headers of the queries, not from the SQL; the chain's removal effects are solved
by numpy with the touchpoint really taken out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import sqrt
from statistics import median
from typing import Any

import numpy as np

from tests.integration.warehouse_effect import (
    CATALOG,
    CHANNELS,
    GOAL,
    NEEDS,
    OWNERS,
    SEGMENTS,
    STAGES,
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


def handoffs(
    events: Sequence[Record], asked: set[tuple[str, str]], filters: Filters
) -> list[Row]:
    """Return handoffs by their channels; ``asked`` are the events that asked again."""
    counted = {_identity(step) for step in chosen_steps(events, filters)}
    pairs = defaultdict(list)
    for customer, steps in histories(events).items():
        came = [_handed(steps, number) for number in range(len(steps))]
        for number, (step, before) in enumerate(zip(steps, came, strict=True)):
            if before is not None and _identity(step) in counted:
                seconds = (step["occurred_at"] - before["occurred_at"]).total_seconds()
                lossy = any(
                    _asked_again(case, number, steps, came, asked) for case in cases(step)
                )
                pairs[before["channel"], step["channel"]].append((customer, step, seconds, lossy))
    everything = sum(map(len, pairs.values()))
    return [
        (
            start,
            end,
            len(seen),
            len(seen) / everything,
            sum(step["direction"] == "inbound" for _, step, _, _ in seen),
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
                (channel, -times, -customers, -times / len(cell))
                for times, customers, _, channel in ranked
            ] + [("", 0, 0, 0.0)] * 2
            known = [step["direction"] for step in cell]
            customers = len({step["customer_key"] for step in cell})
            rows.append(
                (need, segment, len(cell), customers, known.count(""), *best[0], *best[1])
                + (len(ranked),)
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


def effectiveness(taken: Sequence[Sequence[Record]], least: int) -> list[Row]:
    """Stage and touchpoint: who goes on with it, and who without."""
    rows: list[Row] = []
    for place, stage in enumerate(STAGES[:-1]):
        later, made = set(STAGES[place + 1 :]), list[Row]()
        there = [steps for steps in taken if any(step["stage"] == stage for step in steps)]
        at_stage = {step["touchpoint"] for steps in there for step in steps if step["stage"] == stage}
        for touchpoint in sorted(at_stage):
            with_it, without = list[bool](), list[bool]()
            for steps in there:
                met = _goes_on(steps, later, lambda s, t=touchpoint: (s["stage"], s["touchpoint"]) == (stage, t))
                if met is not None:
                    with_it.append(met)
                else:
                    without.append(bool(_goes_on(steps, later, lambda s: s["stage"] == stage)))
            if len(with_it) >= least and len(without) >= least:
                made.append((stage, touchpoint, *_compared(touchpoint, with_it, without)))
        made.sort(key=lambda row: (row[9] is None, -(row[9] or 0), row[1]))
        rows += made
    return rows


def _goes_on(
    steps: Sequence[Record], later: set[str], begins: Callable[[Record], bool]
) -> bool | None:
    """Whether a later stage follows the first step of a kind; None where there is no such step."""
    for number, step in enumerate(steps):
        if begins(step):
            return any(after["stage"] in later for after in steps[number + 1 :])
    return None


def _compared(touchpoint: str, with_it: list[bool], without: list[bool]) -> Row:
    n, x, m, y = len(with_it), sum(with_it), len(without), sum(without)
    counts = (OWNERS.get(touchpoint, ""), n, x, m, y, x / n)
    if m == 0:
        return (*counts, None, None, None, None, None, "unclear")
    p, q = x / n, y / m
    (l1, u1), (l2, u2) = wilson(x, n), wilson(y, m)
    low = p - q - sqrt((p - l1) ** 2 + (u2 - q) ** 2)
    high = p - q + sqrt((u1 - p) ** 2 + (q - l2) ** 2)
    verdict = "more" if low > 0 else "fewer" if high < 0 else "unclear"
    return (*counts, q, p - q, low, high, p / q if y else None, verdict)


def wilson(x: int, n: int) -> tuple[float, float]:
    """The score interval, as the roots of (x/n − p)² = z² p (1 − p) / n."""
    z = 1.959963984540054
    roots = np.roots([1 + z * z / n, -(2 * x / n + z * z / n), (x / n) ** 2])
    return float(min(roots.real)), float(max(roots.real))


def credit_paths(taken: Iterable[Sequence[Record]]) -> list[tuple[list[str], bool]]:
    """Return the touchpoints of every path, and whether it came to the goal."""
    paths = []
    for steps in taken:
        walked = list[str]()
        for step in steps:
            if step["outcome"] == GOAL:
                paths.append((walked or [step["touchpoint"]], True))
                walked = []
            else:
                walked.append(step["touchpoint"])
        if walked:
            paths.append((walked, False))
    return paths


def contribution(
    taken: Iterable[Sequence[Record]], first_weight: float, last_weight: float
) -> dict[str, Row]:
    """Return each touchpoint's credits by model."""
    paths = credit_paths(taken)
    won = [path for path, goal in paths if goal]
    names = sorted({name for path, _ in paths for name in path})
    credit = {name: [0, 0, 0, 0.0, 0.0] for name in names}
    for path in won:
        for name in set(path):
            credit[name][0] += 1
        credit[path[0]][1] += 1
        credit[path[-1]][2] += 1
        shares = position(len(path), first_weight, last_weight)
        for name, share in zip(path, shares, strict=True):
            credit[name][3] += 1 / len(path)
            credit[name][4] += share
    everything = _converting(paths, "") if paths else 0.0
    lost = {
        name: 1 - _converting(paths, name) / everything if everything else 0.0 for name in names
    }
    whole = sum(lost.values())
    return {
        name: (
            name,
            OWNERS.get(name, ""),
            *credit[name],
            len(won) * lost[name] / whole if whole else 0.0,
            lost[name],
        )
        for name in names
    }


def position(length: int, first: float, last: float) -> list[float]:
    """Return the weights of a path's steps, which add up to 1."""
    if length == 1:
        return [1.0]
    middle = [max(0.0, 1 - first - last) / (length - 2)] * (length - 2) if length > 2 else []
    raw = [first, *middle, last]
    return [weight / sum(raw) for weight in raw] if sum(raw) else [1 / length] * length


def _converting(paths: Sequence[tuple[list[str], bool]], removed: str) -> float:
    """Return how likely the chain comes to the goal where a touchpoint ends every path."""
    moves: Counter[tuple[str, str]] = Counter()
    for path, goal in paths:
        whole = ["(start)", *path, "(goal)" if goal else "(nothing)"]
        moves.update(zip(whole, whole[1:], strict=False))
    leaving: Counter[str] = Counter()
    for (start, _), times in moves.items():
        leaving[start] += times
    states = [state for state in leaving if state != removed]
    index = {state: number for number, state in enumerate(states)}
    onward, to_goal = np.eye(len(states)), np.zeros(len(states))
    for (start, end), times in moves.items():
        if start in index and end in index:
            onward[index[start], index[end]] -= times / leaving[start]
        elif start in index and end == "(goal)":
            to_goal[index[start]] += times / leaving[start]
    return float(np.linalg.solve(onward, to_goal)[index["(start)"]])


assert list(OWNERS) == [touchpoint.id for touchpoint in CATALOG.touchpoints]
