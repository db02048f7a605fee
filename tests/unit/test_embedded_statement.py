"""Where the text of an INSERT ends decides which bytes are stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.embedded.statement import HEAD_BYTES, result_format, split_insert

FILE = Path("/h/o'me/x")
SOURCE = b"FROM INFILE '/h/o\\'me/x' COMPRESSION 'none' "


@pytest.mark.parametrize(
    ("head", "rewritten", "data"),
    [
        (
            b"INSERT INTO t (a, `b c`) FORMAT Native\n\n\x01data",
            b"INSERT INTO t (a, `b c`) " + SOURCE + b" FORMAT Native",
            b"\n\x01data",
        ),
        (
            b"insert into t values (1),(2)",
            b"insert into t " + SOURCE + b" FORMAT Values",
            b"(1),(2)",
        ),
        (
            b"-- why\n/* FORMAT x */ INSERT INTO d.t SETTINGS a='FORMAT', b=1 FORMAT CSV \r\n1",
            b"-- why\n/* FORMAT x */ INSERT INTO d.t "
            + SOURCE
            + b"SETTINGS a='FORMAT', b=1 FORMAT CSV",
            b"1",
        ),
        (
            b"INSERT INTO t (`values`, format) FORMAT JSONEachRow {}",
            b"INSERT INTO t (`values`, format) " + SOURCE + b" FORMAT JSONEachRow",
            b"{}",
        ),
        (b"INSERT INTO t FORMAT Native", b"INSERT INTO t " + SOURCE + b" FORMAT Native", b""),
    ],
)
def test_insert_with_data_is_split(head: bytes, rewritten: bytes, data: bytes) -> None:
    insert = split_insert(head)
    assert insert is not None
    assert insert.reading(FILE) == rewritten
    assert head[insert.data_at :] == data


@pytest.mark.parametrize("first", range(256))
def test_every_first_byte_of_binary_data_is_data(first: int) -> None:
    data = bytes([first]) + b"\n rest"
    head = b"INSERT INTO t FORMAT Native\n" + data
    insert = split_insert(head)
    assert insert is not None
    assert head[insert.data_at :] == data


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"SELECT 1 FORMAT Native",
        b"SELECT 'INSERT INTO t FORMAT CSV'",
        b"INSERT INTO t SELECT * FROM u FORMAT Native",
        b"INSERT INTO t (a) WITH x AS (SELECT 1) SELECT * FROM x",
        b"INSERT INTO t FROM INFILE 'f.csv' FORMAT CSV",
        b"INSERT INTO t (SELECT 1)",
        b"INSERT INTO t FORMAT",
        b"CREATE TABLE insert (format String) ENGINE = Memory",
        b"INSERT INTO t (" + b"a, " * HEAD_BYTES,
    ],
)
def test_statement_without_data_is_left_alone(head: bytes) -> None:
    assert split_insert(head[:HEAD_BYTES]) is None


@pytest.mark.parametrize(
    ("sql", "has_rows", "expected"),
    [
        (b"SELECT 1", True, "TabSeparated"),
        (b"SELECT 1 WHERE 0", False, "TabSeparated"),
        (b"-- note\n(SELECT 1)\n FORMAT Native", False, "Native"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1;", True, "JSON"),
        (b"KILL QUERY WHERE 1", True, "TabSeparated"),
        (b"CREATE TABLE t (a Int8) ENGINE = Memory", False, None),
        (b"INSERT INTO t FROM INFILE 'f' FORMAT Native", False, None),
    ],
)
def test_result_format(sql: bytes, has_rows: bool, expected: str | None) -> None:
    assert result_format(sql, "TabSeparated", has_rows) == expected
