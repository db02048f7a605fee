"""The invariant that no fault may break, counted instead of asserted.

Produced ids = stored ids and rejected ones; no event twice in a view; every row as it was meant;
journeys as computed anew; moments and promises as the sequential oracle finds them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipeline.warehouse.refresh import Journeys
from tests import oracle
from tests.line import Line
from tests.moments_line import differences, settle

_CLASSIFIED = "SELECT event_id, touchpoint, stage FROM {view:Identifier}"
_TWICE = {
    "interactions": "SELECT count() - uniqExact(event_id) FROM interactions",
    "steps": "SELECT count() - uniqExact(event_id) FROM steps",
    "moments": "SELECT count() - uniqExact(moment_id) FROM moments",
    "promises": "SELECT count() - uniqExact(promise_id) FROM promises",
}


@dataclass
class Verdict:
    """What is wrong, in numbers.

    Attributes:
        produced: Records sent.
        lost: Records that are neither stored nor rejected, or whose event no view shows.
        duplicated: Rows that stand twice in a view.
        wrong: Rows that are not what they should be.
        moments: Moments there were to find.
        found: Each finding, for whoever looks into it.
    """

    produced: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    moments: int = 0
    found: list[str] = field(default_factory=list)

    def note(self, kind: str, count: int, what: str) -> None:
        """Count something that is not as it should be."""
        if count:
            setattr(self, kind, getattr(self, kind) + count)
            self.found.append(f"{kind} {count}: {what}")


def verdict(line: Line) -> Verdict:
    """Compare ClickHouse with the simulator's truth and the sequential oracles.

    Everything must be drained; waits until the wall clock has ended every open term.
    """
    found = Verdict(produced=len(line.values))
    _count_records(line, found)
    _compare_classification(line, found)
    for view, sql in _TWICE.items():
        found.note("duplicated", int(line.count(sql)), view)
    settle(line)
    wanted, missing, extra = differences(line)
    found.moments = len(wanted.moments)
    found.note("wrong", len(missing), f"moments or promises missing, as {missing[:2]}")
    found.note("wrong", len(extra), f"moments or promises too many, as {extra[:2]}")
    _compare_journeys(line, found)
    return found


def _count_records(line: Line, found: Verdict) -> None:
    counted = line.account()
    rejected = sum(counted.rejected.values())
    found.note("lost", abs(counted.produced - counted.records - rejected), f"{counted}")
    malformed = len(line.values) - len(line.events)
    found.note("lost", max(len(line.values) - counted.produced, 0), "never arrived in Kafka")
    found.note("wrong", abs(rejected - malformed), f"rejected {rejected} of {malformed} malformed")


def _compare_classification(line: Line, found: Verdict) -> None:
    meant = {key: (truth.touchpoint, truth.stage) for key, truth in line.truth.items()}
    for view in ("interactions", "steps"):
        rows = line.client.query(_CLASSIFIED, parameters={"view": view}).result_rows
        shown = {event_id: (touchpoint, stage) for event_id, touchpoint, stage in rows}
        found.note("lost", len(meant.keys() - shown.keys()), f"not in {view}")
        found.note("wrong", len(shown.keys() - meant.keys()), f"in {view}, never sent")
        other = [key for key in meant.keys() & shown.keys() if meant[key] != shown[key]]
        found.note("wrong", len(other), f"otherwise in {view}")


def _compare_journeys(line: Line, found: Verdict) -> None:
    touchpoints = {key: str(truth.touchpoint) for key, truth in line.truth.items()}
    gap = timedelta(seconds=line.loaded.catalog.journey.gap.total_seconds())
    wanted = oracle.paths(oracle.customers_of(line.events, touchpoints), gap)
    rows = line.client.query("SELECT path, count() FROM journeys GROUP BY path").result_rows
    shown = {tuple(path): count for path, count in rows}
    other = {path for path in wanted.keys() | shown.keys() if wanted[path] != shown.get(path, 0)}
    found.note("wrong", len(other), "paths of journeys")
    kept: list[list[Any]] = line.derived()
    Journeys(line.client).rebuild(None, lambda customers: None)
    for name, before, after in zip(("steps", "journeys"), kept, line.derived(), strict=True):
        differing = sum(one != other for one, other in zip(before, after, strict=False))
        differing += abs(len(before) - len(after))
        found.note("wrong", differing, f"{name} other than computed anew")
