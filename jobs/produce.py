"""``touchline produce``: a file of interactions into Kafka, every line accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from jobs.console import err, out
from jobs.sending import Ready, Refused, Tally, quiet_kafka, send_all
from pipeline import catalog, topics
from pipeline.decode import Reason
from pipeline.embedded.stack import endpoints, running
from pipeline.errors import FatalError, RejectedInput, RejectedRecord
from pipeline.producers.completion import checked
from pipeline.producers.lines import STDIN, Lines, opened
from pipeline.producers.producer import BULK_LINGER_MS, DELIVERY_SECONDS, Producer, with_broker
from pipeline.producers.reject_file import RejectFile
from pipeline.settings import Settings
from pipeline.settings import load as load_settings
from pipeline.warehouse.catalog_tables import current
from pipeline.warehouse.client import connect

#: Instead of a channel: each line says its own.
EVERY_CHANNEL = "all"


def produce(
    channel: Annotated[
        str, typer.Argument(help="Channel of the catalog, or 'all': each line says its own.")
    ],
    file: Annotated[
        Path, typer.Argument(help="NDJSON file of interactions (.gz too, - for standard input).")
    ],
    rejects: Annotated[
        Path | None,
        typer.Option(
            help="New file for the lines that were not delivered, as they are; the reasons go to "
            "FILE.reasons.ndjson."
        ),
    ] = None,
    catalog_file: Annotated[
        Path | None, typer.Option("--catalog", help="Catalog TOML; the default one when not given.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds to wait for Kafka to take a record.")
    ] = DELIVERY_SECONDS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send interactions to Kafka and wait until each one is acknowledged.

    Every line is validated first; a bad line never stops the others. A line without channel or
    schema_version gets them. Sending a file again is safe: an event_id counts once.

    Ends with 0 when every line was delivered, with 1 when one was not, with 2 when the file cannot
    be used, with 130 after Ctrl-C, when what was sent has been awaited.
    """
    settings = load_settings(catalog=catalog_file)
    loaded = catalog.load(settings.catalog)
    if channel != EVERY_CHANNEL and channel not in loaded.channels:
        err.print(
            f"touchline: {channel!r} is not a channel of the catalog (fix: say one of "
            f"{', '.join(sorted(loaded.channels))}, or {EVERY_CHANNEL!r})",
            style="red",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(2)
    quiet_kafka()
    wanted_channels = loaded.channels if channel == EVERY_CHANNEL else {channel}
    _refuse_unread(settings, frozenset(wanted_channels))
    settings = with_broker(settings)
    tally = Tally("line")
    try:
        with opened(file) as source, RejectFile(rejects) as reject_file:
            topics.ensure(settings, loaded.catalog)
            with (
                Producer(settings, loaded.channels, timeout, BULK_LINGER_MS) as producer,
                bytes_read(source.size, source.position) as on_progress,
            ):
                lines = Lines(source, settings.max_record_bytes)
                wanted = None if channel == EVERY_CHANNEL else channel
                items = _items(lines, wanted, producer)
                keep_rest = file == STDIN and rejects is not None
                send_all(items, producer, reject_file, tally, on_progress, keep_rest)
    except RejectedInput as error:
        err.print(f"touchline: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    _report(tally, file, reject_file, as_json)
    raise typer.Exit(tally.code)


@contextmanager
def bytes_read(size: int | None, position: Callable[[], int]) -> Iterator[Callable[[], None]]:
    """Show a progress bar in bytes on standard error; silent without a terminal.

    Args:
        size: Bytes in total; None where it is not known.
        position: Returns the bytes read so far.
    """
    with Progress(
        TextColumn("sending"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=size is None or not err.is_terminal,
    ) as bar:
        task = bar.add_task("sending", total=size)
        yield lambda: bar.update(task, completed=position())


def _refuse_unread(settings: Settings, channels: frozenset[str]) -> None:
    """Refuse channels that no worker reads, as far as ClickHouse can be asked which they read.

    Raises:
        FatalError: The catalog of the running workers does not declare a channel.
    """
    if settings.embedded_clickhouse and running(settings.home) is None:
        return
    with endpoints(settings, kafka=False, clickhouse=True) as connected:
        version, known = current(connect(connected.settings))
    unread = sorted(channels - known)
    if version and unread:
        raise FatalError(
            f"the running workers, with catalog version {version}, do not read channel "
            f"{', '.join(unread)} (fix: restart them, or `touchline up`, with the catalog that "
            "declares it)"
        )


def _items(lines: Lines, channel: str | None, producer: Producer) -> Iterator[Ready | Refused]:
    for line in lines:
        if not line.whole:
            cause = RejectedRecord(Reason.TOO_LARGE.value, "longer than a record may be")
            yield Refused(line.number, cause, _whole(line.value, lines))
        elif not line.value.isspace() and line.value:
            try:
                value, decoded = checked(line.value, channel, producer.check)
            except RejectedRecord as cause:
                yield Refused(line.number, cause, [line.value])
            else:
                yield Ready(line.number, value, decoded, line.value)


def _whole(head: bytes, lines: Lines) -> Iterator[bytes]:
    yield head
    yield from lines.rest()


def _report(tally: Tally, file: Path, reject_file: RejectFile, as_json: bool) -> None:
    kept = reject_file.path if reject_file.used else None
    if as_json:
        result = {
            "file": str(file),
            **tally.as_json(),
            "rejects": None if kept is None else str(kept),
        }
        out.print_json(json.dumps(result))
        return
    tally.print()
    if not tally.complete:
        err.print(f"stopped after line {tally.last:,}; what follows was not read")
    if kept is not None:
        err.print(f"kept in {kept}, reasons in {reject_file.reasons}", markup=False)
    out.print(f"{tally.delivered:,} of {tally.read:,} lines delivered")
