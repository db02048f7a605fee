"""The Faust worker: ``touchline worker``, or ``faust -A jobs.worker worker`` for its users.

Importing this module reads nothing; the application is built when somebody asks for ``app``.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Any, TypeVar

import typer

from pipeline import catalog, settings, topics, worker
from pipeline.embedded import stack
from pipeline.errors import FatalError, RetryableError, SettingsError, TouchlineError
from pipeline.identify import Keyring
from pipeline.moments.rules import Rules
from pipeline.sink import Sink
from pipeline.status_server import listening
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.client import connect
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.lifecycle import check_terms
from pipeline.warehouse.migrate import check_schema, migrate
from pipeline.warehouse.refresh import Journeys, never_built

_App = TypeVar("_App")
log = logging.getLogger(__name__)

#: Seconds a starting worker waits for Kafka and ClickHouse to answer.
START_SECONDS = 60.0


def build(chosen: settings.Settings) -> worker.Worker:
    """Connect, check and wire a worker.

    Args:
        chosen: Settings with real addresses, or none for the running embedded stack.

    Raises:
        FatalError: The embedded stack does not run, or the schema is not this version's.
        RetryableError: Kafka or ClickHouse do not answer within ``START_SECONDS``.
        CatalogError: The catalog cannot be used.
    """
    loaded = catalog.load(chosen.catalog)
    require_stack(chosen)
    taken = listening(chosen)
    with ExitStack() as parts:
        connected = parts.enter_context(stack.endpoints(chosen, kafka=True, clickhouse=True))
        ready = connected.settings
        return patiently(lambda: _wire(ready, loaded, connected.embedded_clickhouse, taken))


def _wire(
    ready: settings.Settings,
    loaded: catalog.LoadedCatalog,
    embedded: bool,
    taken: socket.socket | None,
) -> worker.Worker:
    check_terms(ready, Rules(loaded))
    client = connect(ready)
    if embedded:
        migrate(client, ready)
    check_schema(client)
    publish(client, loaded.catalog, loaded.version)
    if ready.pepper is None:
        raise SettingsError("TOUCHLINE_PEPPER: not set")
    ids = topics.ensure(ready, loaded.catalog)
    ready.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if never_built(client):
        log.warning("the stored interactions are in no journey yet: run `touchline rebuild` once")
    journeys = Journeys(connect(ready))  # works beside the others
    ping = connect(ready).ping  # with connections of its own: the others' may all be waiting
    keyring, sink, ledger = Keyring(ready.pepper), Sink(client), Ledger(client)
    return worker.create(ready, loaded, keyring, sink, ledger, journeys, ids, ping, taken)


def require_stack(chosen: settings.Settings) -> None:
    """Make sure that the embedded stack runs where it is needed.

    Raises:
        FatalError: It does not.
    """
    if (chosen.embedded_kafka or chosen.embedded_clickhouse) and not stack.running(chosen.home):
        raise FatalError(
            f"no embedded stack runs in {chosen.home} (fix: run `touchline up` in another "
            "terminal, or set TOUCHLINE_KAFKA and TOUCHLINE_CLICKHOUSE)"
        )


def patiently(attempt: Callable[[], _App]) -> _App:
    """Return what an attempt builds, tried again while servers are not ready yet.

    Raises:
        RetryableError: They were not within ``START_SECONDS``.
    """
    deadline = monotonic() + START_SECONDS
    while True:
        try:
            return attempt()
        except RetryableError as error:
            if monotonic() > deadline:
                raise
            log.warning("not ready yet: %s", error)
            sleep(1.0)


def command(
    catalog_file: Annotated[
        Path | None, typer.Option("--catalog", help="Catalog TOML; the default one when not given.")
    ] = None,
) -> None:
    """Classify interactions from Kafka into ClickHouse until stopped.

    Run as many as there is work for; they share the partitions. Ctrl-C or SIGTERM stops one
    without losing or repeating anything.
    """
    app = build(settings.load(catalog=catalog_file))
    app.Worker(
        loglevel=logging.getLogger().level,
        override_logging=False,
        redirect_stdouts=False,
        blocking_timeout=0,
        quiet=True,
    ).execute_from_commandline()


def __getattr__(name: str) -> Any:
    """Build ``app`` for ``faust -A jobs.worker worker``."""
    if name == "app":
        try:
            return build(settings.load())
        except TouchlineError as error:
            raise SystemExit(f"touchline: {error}") from None
    raise AttributeError(name)
