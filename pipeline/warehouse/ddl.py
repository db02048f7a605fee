"""Migration files as statements: one template for a single server and for a cluster.

What the placeholders mean is said where their users read it, in the first migration,
``schemas/sql/migrations/0001_schema_migrations.sql``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from pipeline.errors import SettingsError

_FILE = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_PLACEHOLDER = re.compile(r"\$\{(\w+)(?::([^}]*))?\}")
_ENGINE = re.compile(r"^(\w+)(?:\((.*)\))?$")
_CLUSTER_NAME = re.compile(r"^[A-Za-z0-9_.-]+$")
_CONDITION = re.compile(r"^-- if: (no database|cluster)\s*$", re.MULTILINE)
# Comments, literals and quoted names hide a semicolon; any other ends a statement.
_PIECE = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'|`[^`]*`|"[^"]*"|;|[^-/'`";]+|.""", re.DOTALL
)
#: Where a replicated table keeps its log: a copy for each shard, or the same rows on every node.
_PER_SHARD = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
_EVERYWHERE = "'/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}'"


@dataclass(frozen=True)
class Migration:
    """One shipped file.

    Attributes:
        number: Its place in the order.
        name: Name of the file.
        template: Its text.
    """

    number: int
    name: str
    template: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.template.encode()).hexdigest()


@dataclass(frozen=True)
class Statement:
    """One statement, ready to be run.

    Attributes:
        sql: Its text.
        creates_database: Whether it is needed only while the database is not there.
    """

    sql: str
    creates_database: bool


@lru_cache(maxsize=1)
def shipped() -> tuple[Migration, ...]:
    """Return the migrations of this version of the program, in order."""
    found = []
    for file in files("schemas").joinpath("sql/migrations").iterdir():
        named = _FILE.match(file.name)
        if named:
            found.append(Migration(int(named[1]), file.name, file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.number))


def render(migration: Migration, database: str, cluster: str | None) -> list[Statement]:
    """Return a migration's statements.

    Args:
        migration: The migration.
        database: Name of the database.
        cluster: Cluster to run them on, or None for a single server.

    Raises:
        SettingsError: The cluster's name cannot be one.
    """
    if cluster is not None and not _CLUSTER_NAME.match(cluster):
        raise SettingsError("TOUCHLINE_CLUSTER: only letters, digits, dots, dashes, underscores")

    def fill(match: re.Match[str]) -> str:
        return _filled(match[1], match[2] or "", database, cluster)

    statements = []
    for text in _split(migration.template):
        condition = _CONDITION.findall(text)
        if cluster is None and "cluster" in condition:
            continue
        statements.append(
            Statement(
                sql=_PLACEHOLDER.sub(fill, _without_leading_comments(text)),
                creates_database="no database" in condition,
            )
        )
    return statements


def _filled(name: str, argument: str, database: str, cluster: str | None) -> str:
    """Return what stands for a placeholder.

    Raises:
        ValueError: There is no such placeholder.
    """
    if name == "database":
        return f"`{database}`"
    if name == "on_cluster":
        return f"ON CLUSTER '{cluster}'" if cluster else ""
    if name == "cluster" and cluster:
        return f"'{cluster}'"
    if name == "table":
        return f"{argument}_local" if cluster else argument
    engine = _ENGINE.match(argument)
    if name in ("engine", "engine_everywhere") and engine:
        if not cluster:
            return argument
        place = _PER_SHARD if name == "engine" else _EVERYWHERE
        return f"Replicated{engine[1]}({', '.join(filter(None, (place, engine[2])))})"
    raise ValueError(f"unknown placeholder: {name}:{argument}")


def _split(template: str) -> Iterator[str]:
    """Yield the statements of a file, each with the comments before it."""
    statement: list[str] = []
    for piece in _PIECE.findall(template):
        if piece != ";":
            statement.append(piece)
            continue
        yield "".join(statement).strip()
        statement = []
    rest = "".join(statement).strip()
    if _without_leading_comments(rest):
        yield rest


def _without_leading_comments(sql: str) -> str:
    while sql.startswith("--"):
        sql = sql.partition("\n")[2].lstrip()
    return sql
