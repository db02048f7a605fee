"""All checks in their order, wired to what the settings name; nothing is started or changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from pipeline import catalog
from pipeline.doctor import kafka, local
from pipeline.doctor.findings import Check, Finding, Result, examine, skip
from pipeline.doctor.warehouse import Warehouse
from pipeline.embedded.stack import endpoints, running
from pipeline.errors import FatalError
from pipeline.settings import Settings
from schemas.catalog import Catalog

STACK = "embedded stack"


@dataclass(frozen=True)
class _Reach:
    """What can be connected to.

    Attributes:
        settings: With addresses filled in, where there are any.
        kafka: Why Kafka cannot be looked at though nothing is wrong; empty where it can.
        clickhouse: The same for ClickHouse.
    """

    settings: Settings
    kafka: str = ""
    clickhouse: str = ""


def examination(settings: Settings) -> Iterator[Finding]:
    """Look at everything.

    Args:
        settings: As loaded.
    """
    yield from examine(
        [
            Check("settings", lambda: local.configured(settings)),
            Check("catalog", lambda: local.known_catalog(settings), ("settings",)),
            Check("home directory", lambda: local.home_directory(settings)),
            Check(STACK, lambda: local.embedded_stack(settings), ("home directory",)),
        ]
    )
    with ExitStack() as parts:
        yield from examine(_connected(settings, parts))


def _connected(settings: Settings, parts: ExitStack) -> list[Check]:
    try:
        reach = _reach(settings, parts)
    except FatalError as error:  # said by the checks above
        reach = _Reach(settings, str(error), str(error))
    ready, embedded = reach.settings, settings.embedded_clickhouse
    store = Warehouse(ready, embedded)

    def loaded() -> Catalog:
        return catalog.load(settings.catalog).catalog

    return [
        Check("kafka", lambda: _unless(reach.kafka) or kafka.reachable(ready), seconds=30),
        Check("topics", lambda: kafka.topics_as_they_are(ready, loaded()), ("kafka",), 30),
        Check("workers", lambda: kafka.consumer_group(ready, loaded()), ("kafka",), 45),
        Check("clickhouse", lambda: _unless(reach.clickhouse) or store.reachable(), seconds=30),
        Check("clock", store.clock, ("clickhouse",)),
        Check("room", store.room, ("clickhouse",)),
        Check("tables", store.tables, ("clickhouse",)),
        Check("schema", store.schema, ("clickhouse",)),
        Check("privileges", store.privileges, ("clickhouse",), 30),
        Check("published catalog", store.catalog, ("schema",)),
    ]


def _unless(why: str) -> list[Result]:
    return [skip(why)] if why else []


def _reach(settings: Settings, parts: ExitStack) -> _Reach:
    """Find what to connect to, without starting a stack.

    Raises:
        FatalError: The files of a running stack cannot be used.
    """
    found = None
    if settings.embedded_kafka or settings.embedded_clickhouse:
        found = running(settings.home)
    no_broker, no_engine = "", ""
    if settings.embedded_kafka and (found is None or found.kafka is None):
        no_broker = "no embedded broker runs"
    elif settings.embedded_kafka and found is not None and not found.lasting:
        no_broker = f"the embedded broker belongs to another command, process {found.pid}"
    if settings.embedded_clickhouse and (found is None or found.clickhouse is None):
        no_engine = "no embedded engine runs"
    connected = parts.enter_context(
        endpoints(settings, kafka=not no_broker, clickhouse=not no_engine)
    )
    return _Reach(connected.settings, no_broker, no_engine)
