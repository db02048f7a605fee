"""What effectiveness and contribution of touchpoints must be, in plain Python.

Written from the headers of the queries, not from the SQL. Removal effects come from numpy, each
from a chain of which the touchpoint was really taken out; Wilson's interval from the roots of its
equation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any

import numpy as np

from tests.integration.warehouse_effect import GOAL, OWNERS, STAGES
from tests.integration.warehouse_oracle import Record

Row = tuple[Any, ...]
Journey = Sequence[Record]


def effectiveness(taken: Sequence[Journey], least: int) -> list[Row]:
    """Stage and touchpoint: who goes on with it, and who without."""
    rows: list[Row] = []
    for place, stage in enumerate(STAGES[:-1]):
        later = set(STAGES[place + 1 :])
        there = [steps for steps in taken if stage in {step["stage"] for step in steps}]
        here = [step for steps in there for step in steps if step["stage"] == stage]
        made = [
            (stage, *_split(there, stage, touchpoint, later))
            for touchpoint in sorted({step["touchpoint"] for step in here})
        ]
        rows += [row for row in made if row[9] >= least and row[11] >= least]
    return rows


def _split(there: Sequence[Journey], stage: str, touchpoint: str, later: set[str]) -> Row:
    """Return a touchpoint and how journeys at a stage go on with it and without."""
    with_it, without = list[bool](), list[bool]()
    for steps in there:
        at_stage = [number for number, step in enumerate(steps) if step["stage"] == stage]
        meetings = [number for number in at_stage if steps[number]["touchpoint"] == touchpoint]
        began = (meetings or at_stage)[0]
        goes_on = any(after["stage"] in later for after in steps[began + 1 :])
        (with_it if meetings else without).append(goes_on)
    return (touchpoint, *_compared(touchpoint, with_it, without))


def _compared(touchpoint: str, with_it: list[bool], without: list[bool]) -> Row:
    n, x, m, y = len(with_it), sum(with_it), len(without), sum(without)
    counts = (n, x, m, y, OWNERS.get(touchpoint, ""))
    p = x / n
    if m == 0:
        return ("unclear", None, None, None, None, p, None, *counts)
    q = y / m
    (l1, u1), (l2, u2) = wilson(x, n), wilson(y, m)
    low = p - q - sqrt((p - l1) ** 2 + (u2 - q) ** 2)
    high = p - q + sqrt((u1 - p) ** 2 + (q - l2) ** 2)
    verdict = "more" if low > 0 else "fewer" if high < 0 else "unclear"
    return (verdict, p / q if y else None, p - q, low, high, p, q, *counts)


def wilson(x: int, n: int) -> tuple[float, float]:
    """The score interval, as the roots of (x/n − p)² = z² p (1 − p) / n."""
    z = 1.959963984540054
    roots = np.roots([1 + z * z / n, -(2 * x / n + z * z / n), (x / n) ** 2])
    return float(min(roots.real)), float(max(roots.real))


def credit_paths(taken: Iterable[Journey]) -> list[tuple[list[str], bool]]:
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
    taken: Iterable[Journey], first_weight: float, last_weight: float
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
