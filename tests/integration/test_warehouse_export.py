"""The source of exports on adverse records: equal times, duplicates, ids that customers share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.export import source
from pipeline.export.source import CUSTOMER, Selection, batches, spans
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.migrate import migrate
from tests.integration.warehouse_catalog import CATALOG
from tests.integration.warehouse_engine import engine
from tests.integration.warehouse_oracle import cut, events, histories, journeys
from tests.integration.warehouse_records import Record, insert, rebuild, records

pytestmark = pytest.mark.integration

Row = dict[str, Any]


@pytest.fixture(scope="module")
def made() -> list[Record]:
    """Records of which every third belongs to a case that customers share."""
    return [
        {**item, "case_ids": {"order_id": f"o-{number % 17}"} if number % 3 == 0 else {}}
        for number, item in enumerate(records(7))
    ]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, made: list[Record]) -> Iterator[Client]:
    with engine(tmp_path_factory.mktemp("home")) as fresh:
        found, settings = fresh()
        migrate(found, settings)
        publish(found, CATALOG, "small")
        insert(found, made, 100)
        rebuild(found)
        yield found


def read(client: Client, selection: Selection, *, ranges: bool) -> list[Row]:
    places = spans(client, selection)[1] if ranges else [source.WHOLE]
    assert (len(places) > 3) is ranges
    blocks = (block for place in places for block in batches(client, selection, place))
    return [row for block in blocks for row in block.to_pylist()]


def shown(row: Row) -> tuple[str, ...]:
    return row["customer_key"], row["event_id"], row["touchpoint"], row["stage"]


@pytest.mark.parametrize("case", ["journey", CUSTOMER, "order_id"])
def test_ranges_give_what_the_whole_gives(
    client: Client, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "SPAN_ROWS", 60 if case != "order_id" else 20)
    selection = Selection(case=case)
    whole = read(client, selection, ranges=False)
    assert whole == read(client, selection, ranges=True)
    runs = [key for key, _ in groupby(row["case_id"] for row in whole)]
    assert len(runs) == len({*runs}) > 3


def test_journeys_are_those_of_the_oracle(client: Client, made: list[Record]) -> None:
    rows = read(client, Selection(), ranges=False)
    assert len(rows) == len(events(made))
    gap: timedelta = CATALOG.journey.gap
    wanted = [
        [
            (step["customer_key"], step["event_id"], step["touchpoint"], step["stage"])
            for step in one
        ]
        for _, steps in sorted(histories(events(made)).items())
        for one in cut(steps, gap)
    ]
    found = [
        list(map(shown, group)) for _, group in groupby(rows, key=lambda row: row["journey_id"])
    ]
    assert found == wanted
    counted = [
        (journey, int(number), len(list(group)))
        for (journey, number), group in groupby(
            rows, key=lambda row: (row["journey_id"], row["journey_number"])
        )
    ]
    assert sorted(counted) == sorted(
        (one["journey_id"], one["journey_number"], one["steps"])
        for one in journeys(events(made), gap)
    )


def test_without_a_catalog_a_customer_is_one_journey(
    tmp_path_factory: pytest.TempPathFactory, made: list[Record]
) -> None:
    with engine(tmp_path_factory.mktemp("home")) as fresh:
        found, settings = fresh()
        migrate(found, settings)
        assert list(batches(found, Selection())) == []
        assert spans(found, Selection()) == (0, [source.WHOLE])
        insert(found, made, 100)
        rebuild(found)
        rows = read(found, Selection(), ranges=False)
        assert {row["journey_number"] for row in rows} == {1}
        assert len({row["journey_id"] for row in rows}) == len({r["customer_key"] for r in rows})
