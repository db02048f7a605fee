"""Roles: valid SQL for a server and a cluster, and a grant for every table that is there."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from jobs.migrate import migrate
from pipeline.settings import Settings
from pipeline.warehouse.ddl import render, shipped
from pipeline.warehouse.roles import ROLES, apply_roles, role_statements
from tests.unit.test_warehouse_ddl import PARSE

PIPELINE = Path(__file__).resolve().parents[2] / "pipeline"
REFRESH = PIPELINE.parent / "schemas" / "sql" / "refresh"
#: What readers do not see, and why.
NOT_FOR_READERS = {"detection_progress", "customer_refreshes"}  # where workers stand
#: Columns that hold what producers put into free fields.
KEPT_BACK = {"details", "extra"}

_CREATED = re.compile(r"CREATE (?:OR REPLACE )?(TABLE|VIEW)(?: IF NOT EXISTS)? `shop`\.(\w+)")
_DROPPED = re.compile(r"DROP (?:TABLE|VIEW) IF EXISTS `shop`\.(\w+)")
_GRANTED = re.compile(r"((?:SELECT|INSERT)(?:, INSERT)?)(?:\(([^)]*)\))? ON `shop`\.(\w+)")


def settings(cluster: str | None = None) -> Settings:
    return Settings(database="shop", cluster=cluster)


def created(cluster: str | None = None) -> dict[str, str]:
    """Return every table and view of the migrations, with which of the two it is."""
    found = {}
    for item in shipped():
        for statement in render(item, "shop", cluster):
            match = _CREATED.match(statement.sql)
            if match:
                found[match[2]] = match[1]
            dropped = _DROPPED.match(statement.sql)
            if dropped:
                del found[dropped[1]]
    return found


def granted(role: str, cluster: str | None = None) -> dict[str, tuple[set[str], set[str]]]:
    """Return privileges and columns, none for all of them, by table."""
    (sql,) = (
        one for one in role_statements(settings(cluster))[f"{role}.sql"] if "REPLACE OPTION" in one
    )
    return {
        table: (set(privileges.split(", ")), {name.strip() for name in columns.split(",")} - {""})
        for privileges, columns, table in _GRANTED.findall(" ".join(sql.split()))
    }


@pytest.mark.parametrize("cluster", [None, "main"])
def test_every_statement_is_valid_sql(cluster: str | None) -> None:
    statements = [sql for file in role_statements(settings(cluster)).values() for sql in file]
    assert not [sql for sql in statements if "${" in sql]
    assert not [sql for sql in statements if ("ON CLUSTER 'main'" in sql) is (cluster is None)]
    ran = subprocess.run(
        [sys.executable, "-c", PARSE],
        input=json.dumps([*statements, "GRANT nonsense"]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [sql for sql, _ in json.loads(ran.stdout)] == ["GRANT nonsense"]


def test_names_carry_the_database() -> None:
    for role in ROLES:
        first = role_statements(settings())[f"{role}.sql"][0]
        assert first.strip() == f"CREATE ROLE IF NOT EXISTS `shop_{role}`"


@pytest.mark.parametrize("cluster", [None, "main"])
def test_a_reader_may_ask_every_table_and_view(cluster: str | None) -> None:
    given = granted("reader", cluster)
    assert {*given} == {*created(cluster)} - NOT_FOR_READERS
    assert {*map(frozenset, (privileges for privileges, _ in given.values()))} == {
        frozenset({"SELECT"})
    }


def test_a_writer_is_granted_the_tables_that_the_code_names() -> None:
    reads, writes = named_in_code()
    given = granted("writer")
    assert {name for name, (privileges, _) in given.items() if "INSERT" in privileges} == writes
    assert {*given} == reads | writes | {"schema_migrations"}


def named_in_code() -> tuple[set[str], set[str]]:
    """Return the relations that the code of the worker reads, and those that it inserts into.

    A table that is named by itself may be meant for either.
    """
    relations = created()
    tables = {name for name, kind in relations.items() if kind == "TABLE"}
    reads: set[str] = set()
    writes: set[str] = set()
    texts = [file.read_text(encoding="utf-8") for file in REFRESH.glob("*.sql")]
    for file in PIPELINE.rglob("*.py"):
        if file.name in ("migrate.py", "biography.py"):  # what the owner does, and readers
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    for text in texts:
        reads |= {*re.findall(r"\b(?:FROM|JOIN) (\w+)", text)} & {*relations}
        writes |= {*re.findall(r"\bINSERT INTO (\w+)", text), text} & tables
    return reads, writes


def test_the_code_is_looked_at() -> None:
    reads, writes = named_in_code()
    assert {"current_catalog", "channels", "interaction_records"} <= reads
    assert {"catalog_versions", "catalog_needs", "rejections", "moment_records"} <= writes


def test_limits_are_settings() -> None:
    limited = Settings(
        reader_seconds=7, reader_memory_bytes=2**20, reader_result_rows=11_000,
        reader_queries_per_hour=13,
    )  # fmt: skip
    text = " ".join(" ".join(role_statements(limited)["reader.sql"]).split())
    for part in (
        "readonly = 1",
        "max_execution_time = 7,",
        "max_memory_usage = 1048576,",
        "max_result_rows = 11000,",
        "MAX queries = 13 TO",
    ):
        assert part in text


class Server:
    """A server that takes every statement, and knows no database."""

    database: str | None = "shop"

    def __init__(self) -> None:
        self.ran: list[str] = []

    def command(self, sql: str) -> None:
        assert self.database is None
        self.ran.append(sql)


def test_roles_are_made_before_the_database_is() -> None:
    server: Any = Server()
    said: list[str] = []
    apply_roles(server, settings(), lambda name, sql: said.append(name))
    statements = role_statements(settings())
    assert server.ran == [sql for role in ROLES for sql in statements[f"{role}.sql"]]
    assert said == ["owner.sql"] * 2 + ["writer.sql"] * 2 + ["reader.sql"] * 4
    assert server.database == "shop"


def test_an_embedded_engine_has_no_roles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path / "home"))
    with pytest.raises(typer.BadParameter, match="roles are for a ClickHouse server"):
        migrate(roles=True)
    migrate(roles=True, dry_run=True, cluster="main")
    shown = capsys.readouterr().out
    assert "CREATE ROLE IF NOT EXISTS `touchline_reader` ON CLUSTER 'main';" in shown
    assert not (tmp_path / "home").exists()
