"""``touchline simulate``: made-up customers' interactions as NDJSON, to try everything on."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from jobs.console import err, out, progress
from pipeline.errors import FatalError, SettingsError
from pipeline.simulator import START, Book, Plan, Produced
from pipeline.simulator import simulate as simulated

_DAY = 86_400_000


@dataclass
class Summary:
    """What was written."""

    lines: int = 0
    size: int = 0
    noise: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    touchpoints: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    near_misses: Counter[str] = field(default_factory=Counter)
    until: str | None = None

    def add(self, produced: Produced) -> None:
        """Count one line; channels, touchpoints and stages count valid events once."""
        truth = produced.truth
        self.lines += 1
        self.size += len(produced.value) + 1
        for kind in ("duplicate", "late", "out_of_order"):
            if getattr(truth, kind):
                self.noise[kind] += 1
        if truth.touchpoint is None or truth.stage is None:
            self.noise["malformed"] += 1
        elif not truth.duplicate:
            self.channels[truth.channel] += 1
            self.touchpoints[truth.touchpoint] += 1
            self.stages[truth.stage] += 1


def simulate(
    target: Annotated[str, typer.Option("--out", "-o", help="File to write, - for stdout.")],
    customers: Annotated[int, typer.Option(min=1, help="Customers of the company.")] = 500,
    days: Annotated[int, typer.Option(min=1, help="Days to simulate.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another run of things.")] = 1,
    truth: Annotated[
        Path | None, typer.Option(help="File for what each line truly is, line by line.")
    ] = None,
    moments: Annotated[
        Path | None,
        typer.Option(help="File for the moments of truth that there are, and near misses."),
    ] = None,
    start: Annotated[str, typer.Option(help="First day, YYYY-MM-DD.")] = START.isoformat(),
    duplicates: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events sent twice.")
    ] = Plan.duplicates,
    late: Annotated[
        float, typer.Option(min=0, max=1, help="Share that arrives hours or days late.")
    ] = Plan.late,
    out_of_order: Annotated[
        float, typer.Option(min=0, max=1, help="Share that arrives minutes late.")
    ] = Plan.out_of_order,
    malformed: Annotated[
        float, typer.Option(min=0, max=1, help="Malformed lines, as a share of the events.")
    ] = Plan.malformed,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the interactions of made-up customers in the order in which they reach Kafka.

    The same options give the same bytes on every machine. Some lines are malformed, sent twice or
    late on purpose; --truth says which, and what touchpoint and stage each line was meant to be.
    --moments says which moments of truth the rules of the default catalog must find in them by the
    end of the last day, and at which events a rule must stay silent, though nearly it would not.
    A file gets its name when all of it is written.
    """
    if target == "-" and as_json:
        raise typer.BadParameter("--out - and --json both want standard output: write to a file")
    files = [path.resolve() for path in (truth, moments) if path is not None]
    files += [] if target == "-" else [Path(target).resolve()]
    if len(set(files)) < len(files):
        raise typer.BadParameter("--out, --truth and --moments must name different files")
    try:
        first = date.fromisoformat(start)
        plan = Plan(customers, days, seed, first, duplicates, late, out_of_order, malformed)
    except (ValueError, SettingsError) as error:
        raise typer.BadParameter(str(error)) from None
    began = time.monotonic()
    summary = _write(plan, target, truth, moments)
    seconds = time.monotonic() - began
    if as_json:
        files_named = {"out": target, "truth": truth, "moments": moments}
        out.print_json(orjson.dumps(_as_json(summary, files_named, seconds)).decode())
    else:
        _print(summary, seconds, err if target == "-" else out)


def _write(plan: Plan, target: str, truth: Path | None, moments: Path | None) -> Summary:
    summary = Summary()
    book = None if moments is None else Book(plan.start, plan.days)
    with ExitStack() as stack:
        stack.enter_context(_seldom_collecting())
        values = sys.stdout.buffer if target == "-" else stack.enter_context(_opened(Path(target)))
        truths = None if truth is None else stack.enter_context(_opened(truth))
        found = None if moments is None else stack.enter_context(_opened(moments))
        bar = stack.enter_context(progress())
        task = bar.add_task("simulating days", total=plan.days)
        first = today = -1
        for produced in simulated(plan, book):
            summary.add(produced)
            values.write(produced.value + b"\n")
            if truths is not None:
                truths.write(orjson.dumps(produced.truth, option=orjson.OPT_APPEND_NEWLINE))
            if produced.arrived_at // _DAY != today:
                today = produced.arrived_at // _DAY
                first = today if first < 0 else first
                bar.update(task, completed=min(today - first, plan.days))
        if found is not None and book is not None:
            _write_moments(book, found, summary)
        for file in (values, truths, found):
            if file is not None:
                file.flush()  # before any of the files gets its name
    return summary


def _write_moments(book: Book, file: IO[bytes], summary: Summary) -> None:
    summary.until = book.end
    for moment in book.moments():
        summary.moments[moment.rule] += 1
        record = {"truth": "moment", **asdict(moment)}
        file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
    for miss in book.near_misses():
        summary.near_misses[miss.rule] += 1
        record = {"truth": "near_miss", **asdict(miss)}
        file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Let the collector of cycles rest: there are none, and it walks all customers to find out."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its name, from an older one if need be, when all of it is there."""
    final = path.resolve()
    is_special = final.exists() and not final.is_file()  # such as /dev/null, which has to stay
    part = final if is_special else final.with_name(f"{final.name}.{os.getpid()}.part")
    try:
        file = part.open("wb")
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path}: {error.strerror}") from None
    try:
        with file:
            yield file
        if not is_special:
            part.replace(final)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FatalError(f"{path}: writing stopped: {error.strerror}") from error
    finally:
        if not is_special:
            part.unlink(missing_ok=True)


def _as_json(
    summary: Summary, files: dict[str, str | Path | None], seconds: float
) -> dict[str, Any]:
    return {
        **{name: None if path is None else str(path) for name, path in files.items()},
        "lines": summary.lines,
        "bytes": summary.size,
        "seconds": round(seconds, 3),
        "events": summary.channels.total(),
        **{
            kind: summary.noise[kind] for kind in ("duplicate", "late", "out_of_order", "malformed")
        },
        "channels": dict(summary.channels.most_common()),
        "touchpoints": dict(summary.touchpoints.most_common()),
        "stages": dict(summary.stages.most_common()),
        "moments_until": summary.until,
        "moments_found": dict(summary.moments.most_common()),
        "near_misses": dict(summary.near_misses.most_common()),
    }


def _print(summary: Summary, seconds: float, console: Console) -> None:
    events = summary.channels.total()
    for title, counts in (("Channel", summary.channels), ("Touchpoint", summary.touchpoints)):
        table = Table(title)
        table.add_column("events", justify="right")
        table.add_column("share", justify="right")
        for name, count in counts.most_common():
            table.add_row(name, f"{count:,}", f"{count / events:.1%}")
        console.print(table)
    noise = summary.noise
    console.print(
        f"{summary.lines:,} lines ({summary.size / 1e6:,.1f} MB) in {seconds:,.1f} s: "
        f"{events:,} events, {noise['late']:,} of them late and {noise['out_of_order']:,} out of "
        f"order, {noise['duplicate']:,} duplicates, {noise['malformed']:,} malformed"
    )
    if summary.until is not None:
        console.print(
            f"{summary.moments.total():,} moments of truth of {len(summary.moments)} rules by "
            f"{summary.until}, and {summary.near_misses.total():,} near misses"
        )
