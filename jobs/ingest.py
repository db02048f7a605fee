"""``touchline ingest``: a foreign log through Kafka into ClickHouse, every row accounted for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from clickhouse_connect.driver.client import Client

from jobs.console import err, out, progress
from jobs.drain import EVERY, WorkerProcess, wait_until_refreshed, wait_until_stored, working
from jobs.produce import bytes_read
from jobs.sending import Ready, Refused, Tally, quiet_kafka, send_all
from pipeline import catalog, topics
from pipeline.embedded.stack import endpoints, running
from pipeline.errors import CatalogError, FatalError, RejectedInput, RejectedRecord, TouchlineError
from pipeline.mapping import map_file
from pipeline.mapping.log_reader import open_log
from pipeline.mapping.log_rows import Log
from pipeline.mapping.mapped import Mapper, Unfit, kept
from pipeline.producers.producer import BULK_LINGER_MS, Producer, checker
from pipeline.producers.reject_file import RejectFile
from pipeline.settings import Settings
from pipeline.settings import load as load_settings
from pipeline.topics import TopicPartition
from pipeline.warehouse.accounting import Account, account
from pipeline.warehouse.catalog_tables import current
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import migrate


def ingest(
    file: Annotated[
        Path, typer.Argument(help="CSV, TSV, NDJSON (each also .gz) or Parquet; - with a format.")
    ],
    map_path: Annotated[
        Path, typer.Option("--map", help="MAP.toml: which columns become which fields.")
    ],
    rejects: Annotated[
        Path | None,
        typer.Option(
            help="New file for the rows that were not delivered, to be mended and ingested by the "
            "same map; the reasons go to FILE.reasons.ndjson."
        ),
    ] = None,
    catalog_file: Annotated[
        Path | None, typer.Option("--catalog", help="Catalog TOML; the default one when not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Turn a log into interactions by a map, send them, and wait until they are stored.

    Rows that do not fit never stop the others. With nothing configured it starts a broker, an
    engine and a worker for itself and stops them; where a stack runs already, its worker does it.
    Ingesting a log again is safe: an event_id counts once.

    Ends with 0 when every row is stored, with 1 when one is not, with 2 when log or map cannot be
    used, with 130 after Ctrl-C.
    """
    settings = load_settings(catalog=catalog_file)
    loaded = catalog.load(settings.catalog)
    mapping = map_file.load(map_path, loaded.channels)
    quiet_kafka()
    tally, reject_file, found = Tally("row"), RejectFile(rejects), None
    try:
        with open_log(file, mapping.mapping) as log, reject_file:
            mapper = Mapper(mapping, log, checker(loaded.channels, settings.max_record_bytes))
            if log.reject_header is not None:
                reject_file.header(log.reject_header)
            found = _through(settings, loaded, log, mapper, reject_file, tally)
    except CatalogError:  # the map does not fit the log: told with its lines by the command line
        raise
    except RejectedInput as error:
        err.print(f"touchline: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    _report(file, tally, found, reject_file, as_json)
    raise typer.Exit(_code(tally, found))


def _through(
    settings: Settings,
    loaded: catalog.LoadedCatalog,
    log: Log,
    mapper: Mapper,
    reject_file: RejectFile,
    tally: Tally,
) -> Account | None:
    """Send what fits and wait until it is stored; return None where that was not seen."""
    is_ours = (settings.embedded_kafka or settings.embedded_clickhouse) and (
        running(settings.home) is None
    )
    with ExitStack() as parts:
        connected = parts.enter_context(endpoints(settings, kafka=True, clickhouse=True))
        ready = connected.settings.model_copy(update={"journeys_every": EVERY})
        client = connect(ready)
        parts.callback(client.close)
        if is_ours and connected.embedded_clickhouse:
            migrate(client, ready)
        elif not is_ours:
            _check_catalog(client, loaded)
        ids = topics.ensure(ready, loaded.catalog)
        worker = parts.enter_context(working(ready)) if is_ours else None
        with (
            Producer(ready, loaded.channels, linger_ms=BULK_LINGER_MS) as producer,
            bytes_read(log.size, log.position) as on_progress,
        ):
            send_all(_items(mapper), producer, reject_file, tally, on_progress)
            ranges = producer.ranges
        if tally.interrupted:
            return None
        starts = {place: first for place, (first, _) in ranges.items()}
        ends = {place: last + 1 for place, (_, last) in ranges.items()}
        try:
            _wait(ready, ends, sum(ends.values()) - sum(starts.values()), worker)
            wait_until_refreshed(client, worker)
        except TouchlineError as error:
            tally.error = tally.error or str(error)
        except KeyboardInterrupt:
            tally.interrupted = True
            return None
        return account(client, ids, starts, ends) if ends else Account(0, 0, 0, 0, 0)


def _check_catalog(client: Client, loaded: catalog.LoadedCatalog) -> None:
    """Refuse to send what running workers would not read, or classify by other rules.

    Raises:
        FatalError: The worker that started last uses another catalog.
    """
    version, _ = current(client)
    if version and version != loaded.version:
        raise FatalError(
            f"the running workers use catalog version {version}, {loaded.path} is version "
            f"{loaded.version}: they would not read all its channels, and classify by other rules "
            "(fix: restart them, or `touchline up`, with TOUCHLINE_CATALOG set to it; or stop "
            "`touchline up`, and this command starts what it needs)"
        )


def _items(mapper: Mapper) -> Iterator[Ready | Refused]:
    for result in mapper.rows():
        if isinstance(result, Unfit):
            cause = RejectedRecord(result.reason, result.error, result.field)
            yield Refused(result.number, cause, [result.raw], result.line)
        else:
            yield Ready(result.number, result.value, result.decoded, kept(result.row), result.also)


def _wait(
    settings: Settings,
    ends: dict[TopicPartition, int],
    total: int,
    worker: WorkerProcess | None,
) -> None:
    with progress() as bar:
        task = bar.add_task("storing", total=total)
        wait_until_stored(
            settings, ends, lambda left: bar.update(task, completed=max(total - left, 0)), worker
        )


def _code(tally: Tally, found: Account | None) -> int:
    if tally.code:
        return tally.code
    is_stored = found is not None and found.balanced and not found.rejected
    return 0 if is_stored else 1


def _report(
    file: Path, tally: Tally, found: Account | None, reject_file: RejectFile, as_json: bool
) -> None:
    reject_path = reject_file.path if reject_file.used else None
    if as_json:
        result: dict[str, Any] = {
            "file": str(file),
            **tally.as_json(),
            "also": tally.also,
            "rejects": None if reject_path is None else str(reject_path),
            "stored": None,
        }
        if found is not None:
            result |= {
                "stored": found.records,
                "distinct": found.stored,
                "already_stored": found.known,
                "unclassified": found.unclassified,
                "rejected": found.rejected,
                "balanced": found.balanced,
            }
        out.print_json(json.dumps(result))
        return
    tally.print()
    if not tally.complete:
        err.print(f"stopped after row {tally.last:,}; what follows was not read")
    if reject_path is not None:
        err.print(f"kept in {reject_path}, reasons in {reject_file.reasons}", markup=False)
    refused = tally.invalid.total()
    also = f" + {tally.also:,} told of beside" if tally.also else ""
    sent = f"{tally.delivered:,} sent + {refused:,} that do not fit"
    out.print(f"{tally.read:,} rows{also} = {sent}")
    if tally.undelivered:
        out.print(f"  + {tally.undelivered.total():,} not confirmed by Kafka")
    if found is None:
        out.print("not waited for: ingest the log again to have all of it stored")
        return
    rejected = sum(found.rejected.values())
    mark = "=" if found.balanced else "≠"
    out.print(
        f"{found.produced:,} sent {mark} {found.stored:,} stored + {found.duplicates:,} "
        f"duplicates + {rejected:,} rejected; {found.unclassified:,} unclassified"
    )
    if found.known:
        out.print(f"{found.known:,} of the stored ones were there already")
