"""The embedded engine as its users meet it: through HTTP, with the ordinary ClickHouse client."""

from __future__ import annotations

import io
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, DataError

from pipeline.embedded.stack import Stack, embedded
from pipeline.settings import Settings
from tests.integration.embedded_client import (
    address,
    authorization,
    connect,
    get,
    number,
)
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[Stack]:
    with embedded(Settings(home=home)) as started:
        yield started


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """A client of a database that the test has for itself."""
    with connect(stack.endpoints) as opened:
        opened.command("CREATE DATABASE mine")
        opened.database = "mine"
        yield opened
        opened.command("DROP DATABASE mine SYNC")


def test_every_column_type_survives_the_round_trip(client: Client) -> None:
    client.command(
        "CREATE TABLE t (id UInt64, text String, at DateTime64(3, 'UTC'),"
        " maybe Nullable(Int32), kind LowCardinality(String), tags Array(String),"
        " details Map(String, String), amount Decimal(18, 4)) ENGINE = MergeTree ORDER BY id"
    )
    rows = 300_000
    start = datetime(2024, 2, 29, 23, 59, 59, 123_000, tzinfo=timezone.utc)
    columns: list[list[Any]] = [
        list(range(rows)),
        [f"Grüße 東京 🛒 \t\n\\' {i}" for i in range(rows)],
        [start + timedelta(milliseconds=i) for i in range(rows)],
        [None if i % 3 else -i for i in range(rows)],
        ["web", "email", "phone", "störe"] * (rows // 4),
        [["a", "b,\x00"] if i % 2 else [] for i in range(rows)],
        [{"k": str(i), "": "ü"} for i in range(rows)],
        [Decimal(i) / 4 for i in range(rows)],
    ]
    names = ["id", "text", "at", "maybe", "kind", "tags", "details", "amount"]
    summary = client.insert("t", columns, column_names=names, column_oriented=True)
    assert summary.written_rows == rows
    parts = client.command("SELECT count() FROM system.parts WHERE active AND database = 'mine'")
    assert parts == 1  # one insert is one block, as on a server
    stored = client.query("SELECT * FROM t ORDER BY id").result_columns
    for name, sent, found in zip(names, columns, stored, strict=True):
        wanted = [at.replace(tzinfo=None) for at in sent] if name == "at" else sent
        assert list(found) == wanted, name


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("String", "it's a \\ tab\t newline\n quote\" {x:String} Grüße 🛒"),
        ("String", "long " * 5_000),  # sent as a form field
        ("Nullable(Int32)", None),
        ("Array(String)", ["a'b", "c\\d", "e\nf"]),
        ("Int64", -(2**63)),
        ("Bool", True),
    ],
)
def test_parameters_are_bound(client: Client, kind: str, value: object) -> None:
    result = client.query(f"SELECT {{x:{kind}}}, {{y:UInt8}}", parameters={"x": value, "y": 7})
    assert result.result_rows == [(value, 7)]


def test_parquet_and_arrow(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt32, b String) ENGINE = MergeTree ORDER BY a")
    sent = pa.table({"a": pa.array([1, 2], pa.uint32()), "b": pa.array(["x", "ü"])})
    client.insert_arrow("t", sent)
    answer = client.raw_query("SELECT * FROM t ORDER BY a", fmt="Parquet")
    assert pq.read_table(io.BytesIO(answer)).to_pylist() == sent.to_pylist()
    assert client.query_arrow("SELECT * FROM t ORDER BY a").to_pylist() == sent.to_pylist()


def test_command_tells_an_empty_result_from_none(client: Client) -> None:
    assert client.command("SELECT 1 WHERE 0") == ""
    assert client.command("SELECT 41 + 1") == 42
    assert not isinstance(client.command("CREATE DATABASE IF NOT EXISTS other"), (str, int))


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_compressed_inserts(stack: Stack, client: Client, compress: bool | str) -> None:
    client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    with connect(stack.endpoints, compress=compress, database="mine") as packing:
        packing.insert("t", [[i] for i in range(100_000)], column_names=["a"])
        assert packing.command("SELECT sum(a) FROM t") == sum(range(100_000))


def test_inline_values_are_not_cut(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    client.command("INSERT INTO t VALUES", data=",".join(f"({i},'ü')" for i in range(99_999)))
    assert client.command("SELECT count() FROM t") == 99_999


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM no_such_database.t", 81),
        ("SELECT 1 SETTINGS no_such_setting = 1", 115),
        ("SELECT FROM WHERE", 62),
        ("SELECT no_such_column", 47),
        ("SELECT throwIf(1)", 395),
        ("INSERT INTO no_such_database.t FORMAT CSV\n1", 81),
    ],
)
def test_errors_carry_the_code(client: Client, sql: str, code: int) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.command(sql)
    assert caught.value.code == code
    assert f"Code: {code}. DB::Exception: " in str(caught.value)


def test_unknown_database_and_setting_of_a_request(stack: Stack, client: Client) -> None:
    with pytest.raises(DatabaseError, match="UNKNOWN_DATABASE"):
        client.command("SELECT 1", settings={"database": "no_such_database"})
    headers = {"Authorization": authorization(stack.endpoints)}
    assert get(stack.endpoints, "/?query=SELECT+1", headers) == (200, None, b"1\n")
    assert get(stack.endpoints, "/?query=SELECT+1&no_such=1", headers)[:2] == (404, "115")


def test_bad_value_stores_nothing(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(DataError):
        client.insert("t", [[1], [2], [300]], column_names=["a"])
    assert client.command("SELECT count() FROM t") == 0


def test_cut_off_insert_stores_nothing(home: Path, stack: Stack, client: Client) -> None:
    client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    head = (
        "POST /?query=INSERT+INTO+mine.t+FORMAT+RowBinary HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {authorization(stack.endpoints)}\r\nContent-Length: 8000000\r\n\r\n"
    )
    temp = home / "tmp"
    with socket.create_connection(address(stack.endpoints)) as raw:
        raw.sendall(head.encode() + b"\x01" * 4_000_000)
        until(lambda: any(temp.iterdir()))
    until(lambda: not any(temp.iterdir()))
    assert client.command("SELECT count() FROM t") == 0


@pytest.mark.parametrize("user", ["touchline", "default", ""])
def test_wrong_password_is_refused(stack: Stack, user: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        connect(stack.endpoints, username=user, password="wrong")
    assert caught.value.code == 516


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + b64encode(b"touchline").decode()},
        {"Authorization": "Bearer x"},
        {"X-ClickHouse-User": "touchline"},
    ],
)
def test_request_without_password_is_refused(stack: Stack, headers: dict[str, str]) -> None:
    assert get(stack.endpoints, "/?query=SELECT+1", headers)[:2] == (403, "516")
    assert get(stack.endpoints, "/ping", headers) == (200, None, b"Ok.\n")


def test_settings_do_not_leak(client: Client) -> None:
    sql = "SELECT getSetting('max_threads')"
    before = client.command(sql)
    assert client.command(sql, settings={"max_threads": 3}) == 3
    assert client.command("SET max_threads = 4") is not None
    assert client.command(sql) == before


def test_parallel_queries_while_inserting(stack: Stack, client: Client) -> None:
    client.command("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    batch, batches, done = 20_000, 15, threading.Event()

    def read(_: int) -> list[int]:
        counts = []
        with connect(stack.endpoints, database="mine") as reader:
            while not done.is_set():
                counts.append(number(reader.command("SELECT count() FROM t")))
        return counts

    with ThreadPoolExecutor(4) as pool:
        readers = pool.map(read, range(4))
        try:
            for turn in range(batches):
                rows = [[turn * batch + i, "x"] for i in range(batch)]
                client.insert("t", rows, column_names=["a", "b"])
        finally:
            done.set()
        for counts in readers:
            assert counts == sorted(counts)
            assert all(count % batch == 0 for count in counts)
    assert client.command("SELECT count() FROM t") == batch * batches
