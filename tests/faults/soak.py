"""A steady load for as long as one likes, with random faults: ``python -m tests.faults.soak``.

It says whether the memory of the processes stays flat, whether the lag comes back after each fault,
and whether everything adds up in the end. It stops by itself, with exit code 1 where something is
wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import psutil

from pipeline import topics
from pipeline.errors import RetryableError
from pipeline.producers import Producer
from pipeline.simulator import Plan, simulate
from pipeline.warehouse.refresh import Journeys
from tests.faults.harness import Trial, trial
from tests.faults.soak_menu import Crew, menu

MEGABYTE = 1_000_000
#: Events that one simulated customer brings in a day.
_EVENTS_A_DAY = 0.5
#: Days that the rules of the default catalog look back.
_LOOKS_BACK_DAYS = 240
#: Day of the first event; the last is long over, or clocks would be taken for wrong.
_START = date(2020, 1, 1)
#: Seconds within which the lag must be back after a fault.
_RECOVERY = 300.0
#: Share and bytes that the median of the last third of the samples may exceed the second's by.
_SHARE, _SPARE = 1.25, 40 * MEGABYTE
_CLASSES = "SELECT touchpoint, stage, count() FROM interactions GROUP BY touchpoint, stage"
_VIEWS = ("steps", "journeys")
_DIGEST = (
    "SELECT count(), sum(cityHash64(*)) FROM (SELECT * EXCEPT refreshed_at FROM {v:Identifier})"
)


@dataclass
class Load:
    """Produces at a steady rate, in a thread, until told to end.

    Attributes:
        sent: Records sent so far.
        classes: Distinct events by what the simulator meant them to be.
        failed: What ended it, where something did.
    """

    run: Trial
    plan: Plan
    rate: float
    sent: int = 0
    malformed: int = 0
    classes: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    failed: BaseException | None = None
    ending: threading.Event = field(default_factory=threading.Event)

    def start(self) -> threading.Thread:
        """Begin."""
        thread = threading.Thread(target=self._produce, daemon=True)
        thread.start()
        return thread

    def _produce(self) -> None:
        began = monotonic()
        try:
            with Producer(self.run.line.settings, self.run.line.loaded.channels) as producer:
                for produced in simulate(self.plan):
                    truth = produced.truth
                    if truth.valid:
                        producer.send_raw(produced.value)
                        if not truth.duplicate:
                            self.classes[truth.touchpoint, truth.stage] += 1
                    else:
                        producer.send_unchecked(truth.channel, produced.value)
                        self.malformed += 1
                    self.sent += 1
                    ahead = began + self.sent / self.rate - monotonic()
                    if self.ending.wait(ahead) if ahead > 0.01 else self.ending.is_set():
                        return
        except BaseException as error:  # noqa: BLE001  # told by the main thread
            self.failed = error


@dataclass
class Watched:
    """What was seen while it ran: memory by process, lag, and how each fault went."""

    run: Trial
    crew: Crew
    load: Load
    memory: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    lags: list[int] = field(default_factory=list)
    recovered: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def sample(self) -> int | None:
        """Take a sample; return the lag, None where the broker does not tell."""
        assert self.load.failed is None, self.load.failed
        workers = [_resident(worker.process.pid) for worker in self.crew.workers]
        self.memory["worker (largest)"].append(max(workers))
        self.memory["engine"].append(_resident(self.run.engine.stack.endpoints.pid))
        self.memory["this program"].append(_resident(psutil.Process().pid))
        try:
            done = sum(topics.committed(self.run.line.settings).values())
        except RetryableError:
            return None
        self.lags.append(max(self.load.sent - done, 0))
        return self.lags[-1]

    def until_back(self, seconds: float) -> float | None:
        """Wait until the lag is what it is without faults; return how long that took."""
        began = monotonic()
        while monotonic() - began < seconds:
            lag = self.sample()
            self.crew.check()
            if lag is not None and lag <= max(5 * self.load.rate, 500):
                return monotonic() - began
            sleep(1.0)
        return None


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _soak(options: argparse.Namespace, watched: Watched) -> list[str]:
    """Do one fault after the other until time is up; returns what went wrong."""
    dice = random.Random(options.seed)
    faults = menu(watched.run, watched.crew, dice)
    until, wrong, left = monotonic() + options.minutes * 60, list[str](), list[str]()
    if watched.until_back(_RECOVERY) is None:
        return [f"the lag did not come down within {_RECOVERY:.0f} s of the start"]
    while monotonic() < until and not wrong:
        calm = monotonic() + dice.uniform(0.5, 1.5) * options.calm
        while monotonic() < min(calm, until):
            watched.sample()
            watched.crew.check()
            sleep(1.0)
        left = left or dice.sample(sorted(faults), len(faults))  # each comes as often as any other
        name = left.pop()
        _tell(f"{name}, lag before {watched.lags[-1]:,}")
        faults[name]()
        took = watched.until_back(_RECOVERY)
        if took is None:
            wrong.append(f"the lag did not come back within {_RECOVERY:.0f} s after: {name}")
        else:
            watched.recovered[name].append(took)
    return wrong


def _sums(watched: Watched) -> list[str]:
    """Compare what is stored with what was produced; returns what is wrong."""
    run, load, wrong = watched.run, watched.load, list[str]()
    run.line.drain()
    found = run.line.account()
    if not found.balanced or found.produced != load.sent:
        wrong.append(f"{load.sent:,} sent, {found}")
    if sum(found.rejected.values()) != load.malformed:
        wrong.append(f"{load.malformed:,} malformed, {found.rejected}")
    twice = run.line.count("SELECT count() - uniqExact(event_id) FROM interactions")
    if twice:
        wrong.append(f"{twice:,} events twice")
    rows = run.line.client.query(_CLASSES).result_rows
    classes = {(touchpoint, stage): count for touchpoint, stage, count in rows}
    if classes != dict(load.classes):
        wrong.append("touchpoints or stages are not what the simulator meant")
    kept = [run.line.client.query(_DIGEST, parameters={"v": v}).result_rows for v in _VIEWS]
    Journeys(run.line.client).rebuild(None, lambda customers: None)
    anew = [run.line.client.query(_DIGEST, parameters={"v": v}).result_rows for v in _VIEWS]
    if kept != anew:
        wrong.append("steps or journeys are not what computing them anew gives")
    return wrong


def _flat(watched: Watched) -> list[str]:
    """Return which processes grew: the last third of the samples against the second."""
    wrong = []
    for name, values in watched.memory.items():
        third = len(values) // 3
        before, after = median(values[third : 2 * third]), median(values[2 * third :])
        if name != "this program" and after > before * _SHARE + _SPARE:
            grown = f"{before / MEGABYTE:.0f} to {after / MEGABYTE:.0f} MB"
            wrong.append(f"memory of {name} grew: {grown}")
    return wrong


def _report(options: argparse.Namespace, watched: Watched, wrong: list[str]) -> str:
    load = watched.load
    lines = [
        f"{options.minutes:g} minutes at {options.rate:g} records a second, seed {options.seed}: "
        f"{load.sent:,} records, {len(watched.run.workers)} workers started.",
        "",
        "| fault | times | seconds until the lag was back, median and most |",
        "|---|---|---|",
    ]
    for name, took in sorted(watched.recovered.items()):
        lines.append(f"| {name} | {len(took)} | {median(took):.0f}, {max(took):.0f} |")
    lines += ["", "| memory, MB | first | median | most | last |", "|---|---|---|---|---|"]
    for name, values in watched.memory.items():
        shown = (values[0], median(values), max(values), values[-1])
        lines.append(f"| {name} | " + " | ".join(f"{v / MEGABYTE:.0f}" for v in shown) + " |")
    lags = watched.lags
    lines += ["", f"Lag: median {median(lags):,.0f}, most {max(lags):,}, at the end 0."]
    verdict = "; ".join(wrong) or "memory flat, lag back after each fault, sums right"
    return "\n".join([*lines, "", f"**{'WRONG' if wrong else 'Right'}**: {verdict}.", ""])


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=500.0, help="records a second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--calm", type=float, default=20.0, help="seconds between two faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/soak.md"))
    options = parser.parse_args()
    records = options.minutes * 60 * options.rate
    # so few that a third of the time is longer than rules look back: memory has grown by then
    customers = int(max(200, records / _EVENTS_A_DAY / (4 * _LOOKS_BACK_DAYS)))
    # enough of a stream for the whole time and what comes after it
    days = int(records * 1.5 / customers / _EVENTS_A_DAY) + 30
    plan = Plan(customers=customers, days=min(days, 2_000), seed=options.seed, start=_START)
    with TemporaryDirectory() as directory, trial(Path(directory), 0, "soak", "") as run:
        crew = Crew(run, options.workers)
        load = Load(run, plan, options.rate)
        thread = load.start()
        watched = Watched(run, crew, load)
        wrong = _soak(options, watched)
        load.ending.set()
        thread.join(300)
        wrong += _sums(watched) + _flat(watched)
        report = _report(options, watched, wrong)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(report, encoding="utf-8")
    sys.stdout.write(report)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
