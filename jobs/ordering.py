"""What the commands about alerts share: the journal, and saying whether an order was taken up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.console import err
from jobs.query import check_data
from pipeline.alerts.journal import Journal
from pipeline.embedded.stack import endpoints
from pipeline.settings import load
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import check_schema, migrate


@contextmanager
def journal() -> Iterator[Journal]:
    """Open the journal of alerts.

    Raises:
        TouchlineError: It cannot be reached, or is not this version's.
    """
    settings = load()
    check_data(settings)
    with endpoints(settings, kafka=False, clickhouse=True) as connected:
        client = connect(connected.settings)
        if connected.embedded_clickhouse:
            migrate(client, connected.settings)
        check_schema(client)
        yield Journal(client)


def say(taken: bool, done: str) -> None:
    """Say what became of an order."""
    if taken:
        err.print(done, markup=False, soft_wrap=True)
    else:
        err.print("left for the alerter; none has taken it up yet: does `touchline alerter` run?")
