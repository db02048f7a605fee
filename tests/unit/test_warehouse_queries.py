"""The files of the named queries, and asking them: values bound, errors with the nearest name."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RejectedInput
from pipeline.warehouse.queries import Result, as_csv, as_json, bind, fetch, named_query, run
from pipeline.warehouse.query_files import NamedQuery, Parameter, named_queries, parse

QUERIES = list(named_queries().values())
GIVEN = {"timeline": {"customer": "0" * 32}} | {
    name: {"at": "faq"} for name in ("paths_from", "paths_to", "paths_around")
}


def title(query: NamedQuery) -> str:
    return query.name


class Asked:
    """A client that notes what it is asked."""

    def __init__(self) -> None:
        self.sql = ""
        self.parameters: Mapping[str, Any] = {}

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Any:
        self.sql, self.parameters = sql, parameters
        return SimpleNamespace(result_rows=[["a", 1]])

    def raw_query(self, sql: str, parameters: Mapping[str, Any], fmt: str) -> bytes:
        self.sql, self.parameters = f"{sql} FORMAT {fmt}", parameters
        return b"answer"


def ask(*arguments: Any, **options: Any) -> Asked:
    client = Asked()
    run(cast(Client, client), *arguments, **options)
    return client


@pytest.mark.parametrize("query", QUERIES, ids=title)
def test_a_file_describes_what_it_takes_and_nothing_else(query: NamedQuery) -> None:
    used = set(re.findall(r"\{(\w+):((?:[^{}])+)\}", query.sql))
    assert used == {(parameter.name, parameter.type) for parameter in query.parameters}
    assert query.title
    assert query.description.endswith(".")
    names = [column.name for column in query.columns]
    assert len(set(names)) == len(names)
    if query.pivot is not None:
        assert {query.pivot.rows, query.pivot.columns, *query.pivot.cells} <= set(names)
    if query.limited_by is not None:
        assert query.limited_by in {parameter.name for parameter in query.parameters}


@pytest.mark.parametrize("query", QUERIES, ids=title)
def test_every_query_takes_every_filter_and_ends_in_its_order(query: NamedQuery) -> None:
    named = [parameter.name for parameter in query.parameters]
    first = named.index("since")
    taken = ["since", "until", "segment", "channel", "stage", "touchpoint", "outcome"]
    assert named[first : first + len(taken)] == taken
    assert all(p.default == "" for p in query.parameters if p.name in taken[2:])
    last = query.sql.splitlines()[-1]
    assert re.match(r"^ORDER BY \S", last)
    assert ";" not in query.sql


@pytest.mark.parametrize("query", QUERIES, ids=title)
def test_defaults_are_values_of_their_types(query: NamedQuery) -> None:
    bound = bind(query, GIVEN.get(query.name, {}))
    assert bound["since"] == datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert bound["until"] == datetime(2100, 1, 1, tzinfo=timezone.utc)


def test_a_limit_is_bound_or_handed_to_the_query() -> None:
    asked = ask("transitions", {}, 7)
    assert asked.sql.endswith("\nLIMIT {row_limit:UInt64}")
    assert asked.parameters["row_limit"] == 7
    assert "row_limit" not in ask("transitions").parameters
    asked = ask("top_paths", limit=7)
    assert asked.parameters["top"] == 7
    assert "row_limit" not in asked.parameters
    assert ask("top_paths", {"top": "3"}, 7).parameters["top"] == 3


def test_no_value_is_ever_part_of_the_sql() -> None:
    text = "'; DROP TABLE interactions; --"
    asked = ask("timeline", {"customer": text})
    assert asked.sql == named_query("timeline").sql
    assert asked.parameters["customer"] == text


def test_fetching_names_the_format() -> None:
    client = Asked()
    answer = fetch(cast(Client, client), "transitions", {}, 2, form="Parquet")
    assert answer == b"answer"
    assert client.sql.endswith("LIMIT {row_limit:UInt64} FORMAT Parquet")


def test_csv_has_the_values_of_the_json_for_a_spreadsheet() -> None:
    at = datetime(2026, 10, 1, 12, 30, 59, 250_000, tzinfo=timezone.utc)
    quality = Result(
        named_query("data_quality"),
        {},
        [("time", "first_event", None, "time", at), ("stored", 'a "b", c', 0.5, "share", None)],
    )
    assert as_csv(quality).decode().split("\n") == [
        "section,measure,value,unit,at",
        "time,first_event,,time,2026-10-01T12:30:59.250000Z",
        'stored,"a ""b"", c",0.5,share,',
        "",
    ]
    map_rows = [
        ("vip", "loyalty", 3, 1, 2, ["Marketing", "Sales"], 1, 0),
        ("", "trial", 0, 0, 0, [], 0, 0),
    ]
    touchpoints = Result(named_query("touchpoint_map"), {}, map_rows)
    read = list(csv.DictReader(io.StringIO(as_csv(touchpoints).decode())))
    assert [row["owners"] for row in read] == ["Marketing; Sales", ""]
    for row, same in zip(read, json.loads(as_json(touchpoints)), strict=True):
        assert {**row, "owners": ""} == {**{k: str(v) for k, v in same.items()}, "owners": ""}


@pytest.mark.parametrize(
    "name, values, said",
    [
        ("touchpoint_maps", {}, r"no named query 'touchpoint_maps' \(did you mean touchpoint_map"),
        ("zzz", {}, r"\(there are: alert_outbox, channel_census, "),
        ("top_paths", {"tops": "1"}, r"no parameter 'tops' \(did you mean top\?\)"),
        ("timeline", {}, "needs parameter customer"),
        ("top_paths", {"depth": "-1"}, "depth must be a whole number from 0 to 65535"),
        ("top_paths", {"depth": "65536"}, "depth must be a whole number"),
        ("top_paths", {"depth": "1.5"}, "depth must be a whole number"),
        ("top_paths", {"collapse_repeats": "perhaps"}, "must be true or false"),
        ("drop_off", {"by": "channel"}, "by must be one of touchpoint, stage$"),
        ("top_paths", {"gap_days": "nan"}, "gap_days must be a number"),
        ("top_paths", {"gap_days": "1e999"}, "gap_days must be a number"),
        ("top_paths", {"gap_days": "-1"}, "gap_days must be a number, 0 or more"),
        ("top_paths", {"since": "2026-10-02", "until": "2026-10-01"}, "must be before until$"),
        ("top_paths", {"since": "2026-10-01", "until": "2026-10-01"}, "must be before until$"),
        ("top_paths", {"since": "2100-01-01"}, r"until \(by default 2100-01-01\)$"),
        ("top_paths", {"since": "yesterday"}, "since must be a time such as 2026-10-01"),
        ("top_paths", {"since": "0001-01-01T00:00:00+23:00"}, "since must be a time"),
    ],
)
def test_wrong_names_and_values(name: str, values: dict[str, str], said: str) -> None:
    with pytest.raises(RejectedInput, match=said) as raised:
        ask(name, values)
    defaults = {"2100-01-01"}
    given = [value for value in values.values() if len(value) > 3 and value not in defaults]
    assert not any(value in str(raised.value) for value in given)


@pytest.mark.parametrize(
    "text, hour",
    [
        ("2026-10-01", 0),
        ("2026-10-01T12:00:00", 12),
        ("2026-10-01 12:00", 12),
        ("2026-10-01T12:00:00Z", 12),
        ("2026-10-01T12:00:00+02:00", 10),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, hour: int) -> None:
    read = Parameter("since", "DateTime64(6, 'UTC')", None, "").read(text)
    assert read == datetime(2026, 10, 1, hour, tzinfo=timezone.utc)
    assert read.tzinfo is timezone.utc


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_any_time_is_read_as_it_was_written(at: datetime) -> None:
    assert Parameter("since", "DateTime64(6, 'UTC')", None, "").read(at.isoformat()) == at


def test_a_header() -> None:
    query = parse(
        "q",
        "-- A title\n-- Prose\n-- goes on.\n--\n"
        "-- param a DateTime64(6, 'UTC') = 1970-01-01: from = when\n-- param b String: must be\n"
        "-- param e Enum('x', 'y') = x: one of\n"
        "-- column c text: one\n-- column d count: two\n--\n-- pivot c d: d\n"
        "-- limit a\nSELECT 1\n",
    )
    assert (query.title, query.description) == ("A title", "Prose goes on.")
    assert query.parameters == (
        Parameter("a", "DateTime64(6, 'UTC')", "1970-01-01", "from = when"),
        Parameter("b", "String", None, "must be"),
        Parameter("e", "Enum('x', 'y')", "x", "one of"),
    )
    assert [(column.name, column.unit) for column in query.columns] == [
        ("c", "text"),
        ("d", "count"),
    ]
    assert query.pivot is not None
    assert (query.limited_by, query.sql) == ("a", "SELECT 1")


@pytest.mark.parametrize(
    "text",
    [
        "-- T\nSELECT 1",
        "-- T\n-- column a furlongs: x\nSELECT 1",
        "-- T\n-- column a text: x\n-- colum b text: y\nSELECT 1",
    ],
)
def test_a_header_with_a_mistake_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="^q: "):
        parse("q", text)
