"""An engine for the tests of the warehouse, and databases of a test's own in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from clickhouse_connect.driver.client import Client

from pipeline.embedded.stack import embedded, endpoints
from pipeline.settings import Settings
from pipeline.warehouse.client import connect

#: Makes a client on a database that is not there yet, and the settings that name it.
Fresh = Callable[[], tuple[Client, Settings]]


@contextmanager
def engine(home: Path) -> Iterator[Fresh]:
    """Run an engine and give databases in it."""
    settings = Settings(home=home)
    numbers = count()
    with (
        embedded(settings, broker=False),
        endpoints(settings, kafka=False, clickhouse=True) as connected,
    ):
        assert connected.settings.clickhouse is not None
        address = connected.settings.clickhouse.rpartition("/")[0]

        def fresh() -> tuple[Client, Settings]:
            name = f"database_{next(numbers)}"
            update = {"database": name, "clickhouse": f"{address}/{name}"}
            own = connected.settings.model_copy(update=update)
            return connect(own), own

        yield fresh
