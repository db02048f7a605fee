"""What a DSN may say, and what ClickHouse's errors become."""

from __future__ import annotations

import socket

import pytest
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    DatabaseError,
    DataError,
    OperationalError,
    ProgrammingError,
)
from pydantic import SecretStr

from pipeline.errors import FatalError, RetryableError, SchemaMismatch, SettingsError
from pipeline.settings import Settings
from pipeline.warehouse.client import connect, explained, translated


def settings(dsn: str | None) -> Settings:
    return Settings(clickhouse=dsn, clickhouse_password=SecretStr("the-password"))


@pytest.mark.parametrize(
    "dsn, problem",
    [
        (None, "not set"),
        ("http://127.0.0.1:8123/touchline", "begins with neither"),
        ("127.0.0.1:8123", "begins with neither"),
        ("clickhouse:///touchline", "names no host"),
        ("clickhouse://me:secret@127.0.0.1/touchline", "password belongs into"),
        ("clickhouse://127.0.0.1/touchline?secure=1", r"options after \? are not supported"),
        ("clickhouse://127.0.0.1/elsewhere", "another database than TOUCHLINE_DATABASE"),
        ("clickhouse://127.0.0.1:70000/touchline", "port is not a number"),
        ("clickhouse://127.0.0.1:http/touchline", "port is not a number"),
    ],
)
def test_an_unusable_dsn_says_what_and_how(dsn: str | None, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as raised:
        connect(settings(dsn))
    assert "TOUCHLINE_CLICKHOUSE" in str(raised.value)
    assert "secret" not in str(raised.value)
    if dsn is not None:
        assert "(fix: write it as clickhouse://user@host:8123/touchline" in str(raised.value)


@pytest.mark.parametrize("scheme", ["clickhouse", "clickhouses"])
def test_where_nothing_answers_the_address_is_named(scheme: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(RetryableError, match=rf"127.0.0.1:{port} \(fix: start it") as raised:
            connect(settings(f"{scheme}://me@127.0.0.1:{port}/touchline"))
    assert "the-password" not in str(raised.value)


@pytest.mark.parametrize(
    "error, kind, said",
    [
        (DatabaseError("x", code=516, name="AUTHENTICATION_FAILED"), FatalError, "user or the"),
        (DatabaseError("x", code=60, name="UNKNOWN_TABLE"), SchemaMismatch, "touchline migrate"),
        (DatabaseError("x", code=81, name="UNKNOWN_DATABASE"), SchemaMismatch, "lacks a database"),
        (DatabaseError("x", code=47, name="UNKNOWN_IDENTIFIER"), SchemaMismatch, "a column"),
        (DatabaseError("x", code=497, name="ACCESS_DENIED"), FatalError, "grant it"),
        (DatabaseError("x", code=252, name="TOO_MANY_PARTS"), RetryableError, "for now"),
        (OperationalError("x", code=241, name="MEMORY_LIMIT_EXCEEDED"), RetryableError, "241"),
        (OperationalError("x"), RetryableError, "no ClickHouse answers at here"),
        (DatabaseError("x"), RetryableError, "no usable answer"),
        (DatabaseError("x", code=62, name="SYNTAX_ERROR"), FatalError, "62 SYNTAX_ERROR"),
        (DataError("x"), FatalError, "refused"),
        (ProgrammingError("x"), SchemaMismatch, "touchline migrate"),
    ],
)
def test_errors_by_what_to_do_about_them(
    error: ClickHouseError, kind: type[Exception], said: str
) -> None:
    assert type(translated(error, "here")) is kind
    assert said in str(translated(error, "here"))


def test_no_text_of_the_server_gets_through() -> None:
    with pytest.raises(FatalError) as raised, explained():
        raise DatabaseError("Cannot parse 'anna@example.org'", code=6, name="CANNOT_PARSE_TEXT")
    assert "anna" not in str(raised.value)
    assert isinstance(raised.value.__cause__, DatabaseError)
