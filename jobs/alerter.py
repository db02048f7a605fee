"""``touchline alerter``: moments become alerts that are delivered, until stopped."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from jobs.worker import patiently, require_stack
from pipeline import catalog, settings, topics
from pipeline.alerts import alerter
from pipeline.alerts.journal import Journal
from pipeline.embedded import stack
from pipeline.errors import CatalogError, Problem
from pipeline.status_server import listening
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import check_schema, migrate


def build(chosen: settings.Settings) -> alerter.Alerter:
    """Connect, check and wire an alerter.

    Args:
        chosen: Settings with real addresses, or none for the running embedded stack.

    Raises:
        FatalError: The embedded stack does not run, or the schema is not this version's.
        RetryableError: Kafka or ClickHouse do not answer in time.
        CatalogError: The catalog cannot be used, or routes nothing.
    """
    loaded = catalog.load(chosen.catalog)
    if not loaded.catalog.routes:
        fix = "add [[destinations]] and [[routes]], see docs/alerts.md"
        raise CatalogError([Problem(loaded.path, 0, "routes", "nobody would be told", fix)])
    require_stack(chosen)
    taken = listening(chosen.model_copy(update={"status_port": chosen.alerter_status_port}))
    with ExitStack() as parts:
        connected = parts.enter_context(stack.endpoints(chosen, kafka=True, clickhouse=True))
        ready = connected.settings
        return patiently(lambda: _wire(ready, loaded, connected.embedded_clickhouse, taken))


def _wire(
    ready: settings.Settings,
    loaded: catalog.LoadedCatalog,
    embedded: bool,
    taken: socket.socket | None,
) -> alerter.Alerter:
    client = connect(ready)
    if embedded:
        migrate(client, ready)
    check_schema(client)
    topics.ensure(ready, loaded.catalog)
    ready.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return alerter.create(ready, loaded, Journal(client), taken)


def command(
    catalog_file: Annotated[
        Path | None,
        typer.Option("--catalog", help="Catalog TOML with routes; the default one when not given."),
    ] = None,
) -> None:
    """Tell people of moments of pain, by the routes of the catalog, until stopped.

    Run one beside the workers, or several: one tells, the others stand by. Ctrl-C or SIGTERM
    stops it; what was not delivered is delivered by the next.
    """
    app = build(settings.load(catalog=catalog_file))
    app.Worker(
        loglevel=logging.getLogger().level,
        override_logging=False,
        redirect_stdouts=False,
        blocking_timeout=0,
        quiet=True,
    ).execute_from_commandline()
