"""The schema of the warehouse: numbered files, applied once each, in order, never edited.

Every statement can be run again, so a migration that broke off halfway is simply run again, and
two programs that migrate at once do not disturb each other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.errors import FatalError, RetryableError, SchemaMismatch
from pipeline.settings import Settings
from pipeline.warehouse.client import explained, translated
from pipeline.warehouse.ddl import Migration, render, shipped

__all__ = ["Migration", "check_schema", "migrate", "pending"]

log = logging.getLogger(__name__)

#: How the file of a migration is named that versions before it cannot work with. Every other only
#: adds: tables, columns with a default, views; what older versions read and write stays.
BREAKING = "_breaking.sql"
_SAID_CHARACTERS = 1_000

_DATABASE = "SELECT count() FROM system.databases WHERE name = {database:String}"
_HISTORY = """
SELECT count() FROM system.tables
WHERE database = {database:String} AND name = 'schema_migrations'
"""
_APPLIED = """
SELECT number, name, checksum, cluster FROM {database:Identifier}.schema_migrations FINAL
ORDER BY number
"""
# The server's clock: one for every row.
_RECORD = """
INSERT INTO {database:Identifier}.schema_migrations (number, name, checksum, cluster, applied_at)
SELECT {number:UInt32}, {name:String}, {checksum:String}, {cluster:String}, now64(3, 'UTC')
"""

#: Called with a migration and each of its statements just before it is run.
OnStatement = Callable[[Migration, str], None]


class _Applied(NamedTuple):
    number: int
    name: str
    checksum: str
    cluster: str


def pending(client: Client, settings: Settings) -> list[Migration]:
    """Return the migrations that the database lacks.

    Raises:
        SchemaMismatch: A file was edited after it was applied, the database is newer than this
            program, or it was made for another cluster.
        RetryableError: ClickHouse does not answer for now.
    """
    applied = _applied(client, settings.database)
    newer = _compare(applied)
    if newer:
        raise _newer(newer[0])
    clusters = sorted({row.cluster for row in applied})
    if any(cluster != (settings.cluster or "") for cluster in clusters):
        made_for = " and ".join(f"cluster {name}" if name else "one server" for name in clusters)
        raise SchemaMismatch(
            f"database {settings.database} was made for {made_for} (fix: set TOUCHLINE_CLUSTER "
            "accordingly, or TOUCHLINE_DATABASE to a new database)"
        )
    present = {row.number for row in applied}
    return [migration for migration in shipped() if migration.number not in present]


def migrate(
    client: Client, settings: Settings, on_statement: OnStatement | None = None
) -> list[Migration]:
    """Create what the database lacks; where nothing is lacking, do nothing.

    Args:
        client: Connected client; afterwards it uses the database.
        settings: Name the database and, where there is one, the cluster.
        on_statement: Called before every statement.

    Returns:
        The migrations that were applied.

    Raises:
        SchemaMismatch: As ``pending``.
        FatalError: ClickHouse refused a statement; names the file.
        RetryableError: ClickHouse does not answer for now.
    """
    lacking = pending(client, settings)
    client.database = None  # it may not exist yet
    try:
        for migration in lacking:
            _apply(client, settings, migration, on_statement)
    finally:
        client.database = settings.database
    return lacking


def check_schema(client: Client, complete: bool = True) -> list[str]:
    """Make sure that the client's database is one that this version of the program can use.

    A newer one is, as long as what was applied to it only adds: that is how versions run side by
    side while they are exchanged (docs/upgrading.md).

    Args:
        client: Connected client.
        complete: Whether every migration of this version must be there.

    Returns:
        The migrations that this version does not know, by name.

    Raises:
        SchemaMismatch: It cannot; the message says what to do.
        RetryableError: ClickHouse does not answer for now.
    """
    database = client.database or "default"
    applied = _applied(client, database)
    newer = _compare(applied)
    for name in newer:
        if name.endswith(BREAKING):
            raise _newer(name)
    present = {row.number for row in applied}
    if not complete:
        return newer
    missing = [migration.name for migration in shipped() if migration.number not in present]
    if missing:
        raise SchemaMismatch(
            f"database {database} lacks {len(missing)} of {len(shipped())} migrations, beginning "
            f"with {missing[0]} (fix: run `touchline migrate`)"
        )
    if newer:
        log.warning("the database is newer than this program, which can use it: %s", newer[-1])
    return newer


def _apply(
    client: Client, settings: Settings, migration: Migration, on_statement: OnStatement | None
) -> None:
    for statement in render(migration, settings.database, settings.cluster):
        # Who may not create databases can migrate one that was made for them.
        if statement.creates_database and _exists(client, settings.database):
            continue
        if on_statement is not None:
            on_statement(migration, statement.sql)
        _run(client, migration, statement.sql)
    parameters = {
        "database": settings.database,
        "number": migration.number,
        "name": migration.name,
        "checksum": migration.checksum,
        "cluster": settings.cluster or "",
    }
    with explained():
        client.command(_RECORD, parameters=parameters)


def _run(client: Client, migration: Migration, sql: str) -> None:
    """Run one statement of a migration.

    Raises:
        FatalError: ClickHouse refused it, with its own words: DDL holds nobody's data.
        RetryableError: ClickHouse does not answer for now.
    """
    try:
        client.command(sql)
    except ClickHouseError as error:
        cause = translated(error)
        said = str(error)[:_SAID_CHARACTERS]
        kind = RetryableError if isinstance(cause, RetryableError) else FatalError
        raise kind(f"{migration.name}: {cause}\nClickHouse said: {said}") from error


def _exists(client: Client, database: str) -> bool:
    with explained():
        found = client.query(_DATABASE, parameters={"database": database}).result_rows
    return bool(found[0][0])


def _applied(client: Client, database: str) -> list[_Applied]:
    """Return what was applied; nothing where the database is not there."""
    used, client.database = client.database, None
    try:
        with explained():
            history = client.query(_HISTORY, parameters={"database": database}).result_rows
            if not history[0][0]:
                return []
            rows = client.query(_APPLIED, parameters={"database": database}).result_rows
    finally:
        client.database = used
    return [_Applied(*row) for row in rows]


def _compare(applied: list[_Applied]) -> list[str]:
    """Refuse a database that went another way than this program's files.

    Returns:
        Names of what was applied and is not among this program's files: it is newer.

    Raises:
        SchemaMismatch: A file was edited.
    """
    known = {migration.number: migration for migration in shipped()}
    newer = []
    for row in applied:
        migration = known.get(row.number)
        if migration is None:
            newer.append(row.name)
        elif migration.checksum != row.checksum:
            raise SchemaMismatch(
                f"{migration.name} was edited after it had been applied (fix: restore the file "
                "as it was shipped; a change of the schema is a new file)"
            )
    return newer


def _newer(name: str) -> SchemaMismatch:
    return SchemaMismatch(
        f"the database is newer than this program: it has {name} (fix: install the "
        "version of Touchline that migrated it, or a newer one)"
    )
