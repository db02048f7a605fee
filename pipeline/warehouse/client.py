"""How to reach ClickHouse, and what its errors mean to the rest of the program.

The same client for a server, a cluster and the embedded engine, which answers like a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    DataError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

from pipeline.errors import (
    FatalError,
    RetryableError,
    SchemaMismatch,
    SettingsError,
    TouchlineError,
)
from pipeline.settings import Settings

_CONNECT_SECONDS = 10
#: A question over everything may take minutes; a server that is gone is noticed long before.
_ANSWER_SECONDS = 600
#: Acknowledge an insert when its rows are in the table, on this node and on a cluster's shards.
_DURABLE = {"async_insert": "0", "distributed_foreground_insert": "1"}

# ClickHouse's own error numbers (src/Common/ErrorCodes.cpp).
_SCHEMA_CODES = {10: "column", 16: "column", 47: "column", 60: "table", 81: "database"}
_AUTHENTICATION_CODES = frozenset({192, 193, 194, 516})
#: What may not be done, by a read-only user or by one who was not granted it.
ACCESS_CODES = frozenset({164, 497})
#: Too much time or too many rows or bytes for the user's own limits, or too many queries.
_LIMIT_CODES = frozenset({158, 201, 307, 396})
#: Timeouts, limits, shutdown, too many parts, no disk space, failing disks, read-only or stale
#: replicas, missing quorum, and exceptions of the system below.
_PASSING_CODES = frozenset(
    {74, 75, 76, 159, 160, 173, 198, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 279, 285}
    | {286, 289, 319, 369, 394, 425, 439, 473, 733, 999, 1000, 1001, 1002}
)
#: What some of them are called in metrics and alarms; a person can do something about these.
_CAUSES = {
    **dict.fromkeys((74, 75, 76), "disk"),
    **dict.fromkeys((159, 160, 209), "timeout"),
    **dict.fromkeys((202, 203), "too_many_queries"),
    **dict.fromkeys((225, 999), "keeper"),
    **dict.fromkeys((285, 286, 289, 319), "quorum"),
    241: "memory",
    242: "read_only",
    243: "disk_full",
    252: "too_many_parts",
}
_FIXES = {
    "disk": "look at the server's disk",
    "disk_full": "free space on the server's disk, or add some",
    "keeper": "the Keeper of the cluster",
    "memory": "more memory for the server, or less load",
    "quorum": "the replicas that are missing",
    "read_only": "the Keeper that the replica lost, then SYSTEM RESTART REPLICA",
    "timeout": "less load on the server",
    "too_many_parts": "merges do not keep up: larger batches (TOUCHLINE_BATCH_SECONDS), or disks",
    "too_many_queries": "fewer queries, or a higher max_concurrent_queries",
}


def connect(settings: Settings) -> Client:
    """Connect to ClickHouse.

    Args:
        settings: With the DSN and password filled in. Their database need not exist yet.

    Raises:
        RetryableError: Nothing answers there, or not yet.
        FatalError: User or password are wrong.
        SettingsError: The DSN cannot be used.
    """
    parts = _address(settings)
    secure = parts.scheme == "clickhouses"
    password = settings.clickhouse_password
    with explained(f"{parts.hostname}:{parts.port or (8443 if secure else 8123)}"):
        client = clickhouse_connect.get_client(
            host=parts.hostname,
            port=parts.port or (8443 if secure else 8123),
            interface="https" if secure else "http",
            username=unquote(parts.username) if parts.username else "default",
            password=password.get_secret_value() if password else "",
            ca_cert=str(settings.clickhouse_ca_file) if settings.clickhouse_ca_file else None,
            connect_timeout=_CONNECT_SECONDS,
            send_receive_timeout=_ANSWER_SECONDS,
            autogenerate_session_id=False,  # sessions allow one query at a time
            client_name="touchline",
            tz_mode="aware",
        )
    for name, value in _DURABLE.items():
        known = client.server_settings.get(name)
        if known is not None and not known.readonly:  # a user who may only read cannot set it
            client.set_client_setting(name, value)
    client.database = settings.database  # only now: to connect, it would have to exist
    return client


@contextmanager
def explained(where: str = "") -> Iterator[None]:
    """Turn ClickHouse's errors into the project's; no text of the server, it may hold values.

    Args:
        where: Address to name where nothing answers.

    Raises:
        RetryableError: Nothing answers, or the server is not able to for now.
        SchemaMismatch: A table, column or the database is not there.
        FatalError: The user may not do this, or the statement is wrong.
    """
    try:
        yield
    except ClickHouseError as error:
        raise translated(error, where) from error


def translated(error: ClickHouseError, where: str = "") -> TouchlineError:
    """Return the project's error for one of ClickHouse's."""
    code, name = getattr(error, "code", None), getattr(error, "name", None)
    at = f" at {where}" if where else ""
    if code in _AUTHENTICATION_CODES:
        return FatalError(
            f"ClickHouse{at} refuses the user or the password (fix: check the user in "
            "TOUCHLINE_CLICKHOUSE and TOUCHLINE_CLICKHOUSE_PASSWORD)"
        )
    if code in _SCHEMA_CODES:
        return SchemaMismatch(
            f"ClickHouse lacks a {_SCHEMA_CODES[code]} that this version needs "
            "(fix: run `touchline migrate`)"
        )
    if code in ACCESS_CODES:
        return FatalError(
            f"the ClickHouse user may not do this (error {code} {name}; fix: grant it, or use "
            "another user)"
        )
    if code in _LIMIT_CODES:
        return FatalError(
            f"this goes beyond the limits of the ClickHouse user (error {code} {name}; fix: ask "
            "for less, or have the limits raised)"
        )
    if code is None and isinstance(error, OperationalError):
        return RetryableError(
            f"no ClickHouse answers{at} (fix: start it, or check TOUCHLINE_CLICKHOUSE)",
            "unreachable",
        )
    if code in _PASSING_CODES:
        cause = _CAUSES.get(code, "other")
        fix = f"; fix: {_FIXES[cause]}" if cause in _FIXES else ""
        return RetryableError(
            f"ClickHouse cannot do this for now (error {code} {name}{fix})", cause
        )
    if code is None and not isinstance(error, (DataError, ProgrammingError, NotSupportedError)):
        return RetryableError(
            f"ClickHouse{at} gave no usable answer ({type(error).__name__})", "unreachable"
        )
    if code is None and isinstance(error, ProgrammingError):  # the client's own, before it sends
        return SchemaMismatch(
            "a table in ClickHouse is not what this version needs (fix: run `touchline migrate`)"
        )
    return FatalError(f"ClickHouse refused the statement (error {code} {name})")


def _address(settings: Settings) -> SplitResult:
    """Return the parts of the DSN.

    Raises:
        SettingsError: It is missing or cannot be used.
    """
    if settings.clickhouse is None:
        raise SettingsError("TOUCHLINE_CLICKHOUSE: not set and no embedded engine is running")
    parts = urlsplit(settings.clickhouse)
    problem = _problem(parts, settings.database)
    if problem:
        raise SettingsError(
            f"TOUCHLINE_CLICKHOUSE: {problem} (fix: write it as "
            f"clickhouse://user@host:8123/{settings.database}, or clickhouses:// for TLS)"
        )
    return parts


def _problem(parts: SplitResult, database: str) -> str:
    named = unquote(parts.path).strip("/")
    checks: dict[str, Any] = {
        "begins with neither clickhouse:// nor clickhouses://": parts.scheme
        not in ("clickhouse", "clickhouses"),
        "names no host": not parts.hostname,
        "the password belongs into TOUCHLINE_CLICKHOUSE_PASSWORD": parts.password is not None,
        "options after ? are not supported": parts.query,
        f"names another database than TOUCHLINE_DATABASE, which is {database}": named
        not in ("", database),
        "the port is not a number from 1 to 65535": not _port_is_valid(parts),
    }
    return next((problem for problem, present in checks.items() if present), "")


def _port_is_valid(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False
