"""``touchline export``: event logs for process-mining tools."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Protocol

import pyarrow as pa
import typer
from clickhouse_connect.driver.client import Client

from jobs.console import err, progress
from jobs.query import check_data, usage
from jobs.whole_file import whole_file
from pipeline.embedded.stack import endpoints
from pipeline.export.flat import CsvLog, ParquetLog
from pipeline.export.ocel import OcelLog
from pipeline.export.source import JOURNEY, WHOLE, Selection, batches, spans
from pipeline.export.xes import XesLog
from pipeline.settings import load
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import check_schema, migrate
from pipeline.warehouse.names import Named, check_names
from pipeline.warehouse.query_files import A_TIME, read_instant


class Form(str, Enum):
    """What comes out."""

    xes = "xes"
    ocel = "ocel"
    csv = "csv"
    parquet = "parquet"


class Log(Protocol):
    """Writes an event log for the duration of a block."""

    def __enter__(self) -> Log:
        """Begin the log."""
        ...

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a block."""
        ...

    def __exit__(self, *error: Any) -> None:
        """End the log."""
        ...


_SUFFIXES = {
    ".xes": Form.xes,
    ".json": Form.ocel,
    ".jsonocel": Form.ocel,
    ".csv": Form.csv,
    ".parquet": Form.parquet,
}


def export(
    target: Annotated[
        Path, typer.Option("--out", "-o", help="File to write; one that ends in .gz is compressed.")
    ],
    form: Annotated[
        Form | None,
        typer.Option("--format", "-f", help="By default what --out's name says: .xes, .json, …"),
    ] = None,
    case: Annotated[
        str | None,
        typer.Option(
            help="What a case is: journey (the default), customer, or a case id such as order_id; "
            "events without that id are left out. OCEL relates events to all of them."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help=f"Events at or after this, {A_TIME}.", metavar="TIME")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Events before this.", metavar="TIME")] = None,
    segment: Annotated[
        list[str] | None, typer.Option(help="Only customers of this segment; may be repeated.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="Only events on this channel; may be repeated.")
    ] = None,
) -> None:
    """Write interactions as an event log for process mining: XES, OCEL 2.0, CSV or Parquet.

    For example: `touchline export --out journeys.xes.gz --since 2026-10-01`. The log holds customer
    keys and case ids, no identifiers and nothing of the free text that producers sent.
    """
    chosen = _form(form, target)
    if chosen is Form.ocel and case is not None:
        raise typer.BadParameter("OCEL relates events to all cases", param_hint="--case")
    if chosen is Form.parquet and target.suffix == ".gz":
        raise typer.BadParameter("Parquet is compressed as it is", param_hint="--out")
    if not target.parent.is_dir():
        raise typer.BadParameter(f"no such directory: {target.parent}", param_hint="--out")
    times = {
        name: _instant(name, text)
        for name, text in (("since", since), ("until", until))
        if text is not None
    }
    selection = Selection(
        case=case or JOURNEY, segments=tuple(segment or ()), channels=tuple(channel or ()), **times
    )
    if selection.since >= selection.until:
        raise typer.BadParameter("must be before --until", param_hint="--since")
    settings = load()
    check_data(settings)
    with endpoints(settings, kafka=False, clickhouse=True) as connected:
        client = connect(connected.settings)
        if connected.embedded_clickhouse:
            migrate(client, connected.settings)
        check_schema(client)
        with usage():
            check_names(client, _named(selection))
        blocks = _blocks(client, selection, in_spans=connected.embedded_clickhouse)
        with whole_file(target, zipped=target.suffix == ".gz") as file:
            events, cases = _write(blocks, _log(chosen, file))
    what = "journeys" if selection.case == JOURNEY else "cases"
    err.print(f"{events:,} events of {cases:,} {what} written to {target}", markup=False)
    if not events:
        err.print("nothing was found (fix: see what there is: touchline query data_quality)")


def _named(selection: Selection) -> list[Named]:
    segments = [Named("--segment", "segment", name) for name in selection.segments]
    return segments + [Named("--channel", "channel", name) for name in selection.channels]


def _blocks(client: Client, selection: Selection, *, in_spans: bool) -> Iterator[pa.RecordBatch]:
    """Yield the blocks, showing how far it is."""
    records, ranges = spans(client, selection)
    with progress() as bar:
        # duplicates and what a filter leaves out make it end early
        task = bar.add_task("exporting events", total=records)
        for span in ranges if in_spans else [WHOLE]:
            for batch in batches(client, selection, span):
                yield batch
                bar.advance(task, batch.num_rows)


def _write(blocks: Iterator[pa.RecordBatch], log: Log) -> tuple[int, int]:
    """Write a log, and return how many events and cases it has."""
    events, cases, last = 0, 0, None
    with log:
        for batch in blocks:
            log.write(batch)
            events += batch.num_rows
            for case in batch.column("case_id").to_pylist():
                cases += case != last
                last = case
    return events, cases


def _log(form: Form, file: BinaryIO) -> Log:
    writers: dict[Form, Any] = {
        Form.xes: XesLog,
        Form.ocel: OcelLog,
        Form.csv: CsvLog,
        Form.parquet: ParquetLog,
    }
    log: Log = writers[form](file)
    return log


def _form(form: Form | None, target: Path) -> Form:
    if form is not None:
        return form
    name = target.with_suffix("") if target.suffix == ".gz" else target
    if name.suffix not in _SUFFIXES:
        raise typer.BadParameter(
            "cannot tell the format from the file's name: end it in .xes, .json, .csv (each also "
            "with .gz) or .parquet, or add --format",
            param_hint="--out",
        )
    return _SUFFIXES[name.suffix]


def _instant(name: str, text: str) -> datetime:
    try:
        return read_instant(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"must be {A_TIME}", param_hint=f"--{name}") from None
