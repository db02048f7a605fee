"""Roles of a ClickHouse server as statements: what owner, writer and reader may do.

The statements stand in ``schemas/sql/roles``; what their placeholders mean is said in the first of
those files, ``owner.sql``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.errors import FatalError, RetryableError
from pipeline.settings import Settings
from pipeline.warehouse.client import ACCESS_CODES, translated
from pipeline.warehouse.ddl import Migration, render

#: In the order in which they are made.
ROLES = ("owner", "writer", "reader")

_SAID_CHARACTERS = 1_000
_PLACEHOLDER = re.compile(r"\$\{(role|setting|grant):([^}]*[a-z])\}")

#: Called with a file's name and each of its statements just before it is run.
OnStatement = Callable[[str, str], None]


def role_name(settings: Settings, role: str) -> str:
    """Return the name of a role of a database."""
    return f"{settings.database}_{role}"


def role_statements(settings: Settings) -> dict[str, list[str]]:
    """Return the statements that make the roles what they are to be, by file.

    Args:
        settings: Name the database, the cluster where there is one, and the readers' limits.

    Raises:
        SettingsError: The cluster's name cannot be one.
    """
    found = {}
    for number, role in enumerate(ROLES, 1):
        name = f"{role}.sql"
        text = files("schemas").joinpath(f"sql/roles/{name}").read_text(encoding="utf-8")
        template = _PLACEHOLDER.sub(lambda match: _filled(match[1], match[2], settings), text)
        rendered = render(Migration(number, name, template), settings.database, settings.cluster)
        found[name] = [statement.sql for statement in rendered]
    return found


def apply_roles(
    client: Client, settings: Settings, on_statement: OnStatement | None = None
) -> None:
    """Make roles, grants, limits and quota; what is there already becomes what it is to be.

    Args:
        client: Connected as a user who may manage access; the database need not be there yet.
        settings: As for ``role_statements``.
        on_statement: Called before every statement.

    Raises:
        FatalError: The user may not manage access, or ClickHouse refused a statement for another
            reason; names the file.
        RetryableError: ClickHouse does not answer for now.
    """
    used, client.database = client.database, None  # it may not exist yet
    try:
        for name, statements in role_statements(settings).items():
            for sql in statements:
                if on_statement is not None:
                    on_statement(name, sql)
                _run(client, name, sql)
    finally:
        client.database = used


def _run(client: Client, name: str, sql: str) -> None:
    try:
        client.command(sql)
    except ClickHouseError as error:
        cause = translated(error)
        said = str(error)[:_SAID_CHARACTERS]  # it holds names of roles and tables, nobody's data
        if getattr(error, "code", None) in ACCESS_CODES:
            raise FatalError(
                f"roles/{name}: the ClickHouse user may not manage access (fix: run this as one "
                f"who may, such as `default` with access_management)\nClickHouse said: {said}"
            ) from error
        kind = RetryableError if isinstance(cause, RetryableError) else FatalError
        raise kind(f"roles/{name}: {cause}\nClickHouse said: {said}") from error


def _filled(name: str, argument: str, settings: Settings) -> str:
    """Return what stands for a placeholder; the others are left to the migrations' own."""
    if name == "role":
        return f"`{role_name(settings, argument)}`"
    if name == "setting":
        return str(int(getattr(settings, argument)))
    privileges, _, table = argument.rpartition(":")
    tables = [table, f"{table}_local"] if settings.cluster else [table]
    return ",\n    ".join(f"{privileges} ON ${{database}}.{one}" for one in tables)
