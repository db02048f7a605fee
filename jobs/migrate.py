"""``touchline migrate``: the tables and views in ClickHouse, made or brought up to date; roles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from clickhouse_connect.driver.client import Client

from jobs.console import err, out
from jobs.query import say_if_never_built
from pipeline.catalog import load as load_catalog
from pipeline.embedded.stack import endpoints
from pipeline.moments.rules import Rules
from pipeline.settings import Settings, load
from pipeline.warehouse.client import connect
from pipeline.warehouse.ddl import Migration, render, shipped
from pipeline.warehouse.lifecycle import KEPT, apply_lifecycle, check_terms, lifecycle_statements
from pipeline.warehouse.migrate import migrate as apply
from pipeline.warehouse.migrate import pending
from pipeline.warehouse.roles import ROLES, apply_roles, role_name, role_statements


def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL that would be run, and run nothing.")
    ] = False,
    cluster: Annotated[
        str | None, typer.Option(help="Cluster to migrate; a single server when not given.")
    ] = None,
    roles: Annotated[
        bool,
        typer.Option(
            "--roles",
            help="Only make the roles of owner, writer and reader, with grants, limits and quota; "
            "as a user who may manage access.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Create the tables and views in ClickHouse, or bring them up to date.

    Running it again changes nothing. With --cluster the same tables become replicated ones behind
    distributed ones; a database stays what it was made as.
    """
    settings = load(cluster=cluster)
    if roles:
        _roles(settings, dry_run, as_json)
        return
    if any(getattr(settings, kept.setting) is not None for kept in KEPT):
        check_terms(settings, Rules(load_catalog(settings.catalog)))
    if settings.embedded_clickhouse and settings.cluster:
        if not dry_run:
            raise typer.BadParameter(
                "the embedded engine is no cluster: set TOUCHLINE_CLICKHOUSE, or add --dry-run "
                "to see the SQL",
                param_hint="--cluster",
            )
        _show(settings, list(shipped()), lifecycle_statements(None, settings), as_json)
        return
    with endpoints(settings, kafka=False, clickhouse=True) as connected:
        client = connect(connected.settings)
        if dry_run:
            ahead = pending(client, connected.settings)
            kept = lifecycle_statements(client, connected.settings)
            _show(connected.settings, ahead, kept, as_json)
        else:
            _apply(client, connected.settings, as_json)


def _apply(client: Client, settings: Settings, as_json: bool) -> None:
    applied = apply(client, settings, on_statement=lambda file, sql: _say(file.name, sql))
    kept = lifecycle_statements(client, settings)
    apply_lifecycle(client, kept)
    if as_json:
        out.print_json(json.dumps(_summary(settings, applied, kept)))
    elif applied:
        out.print(f"{len(applied)} migrations applied to database {settings.database}")
    elif not kept:
        out.print(f"database {settings.database} is up to date")
    if kept and not as_json:
        out.print(f"how long rows are kept changed: {', '.join(kept)}")
    say_if_never_built(client)


def _roles(settings: Settings, dry_run: bool, as_json: bool) -> None:
    """Make the roles, or print how."""
    statements = role_statements(settings)
    if dry_run:
        if as_json:
            out.print_json(json.dumps({**_about(settings), "roles": [], "statements": statements}))
        else:
            _print(statements)
        return
    if settings.embedded_clickhouse:
        raise typer.BadParameter(
            "roles are for a ClickHouse server, and the embedded engine has one user: set "
            "TOUCHLINE_CLICKHOUSE, or add --dry-run to see the SQL",
            param_hint="--roles",
        )
    apply_roles(connect(settings), settings, on_statement=_say)
    names = [role_name(settings, role) for role in ROLES]
    if as_json:
        out.print_json(json.dumps({**_about(settings), "roles": names}))
    else:
        out.print(f"roles for database {settings.database}: {', '.join(names)}")


def _say(name: str, sql: str) -> None:
    """Tell which statement comes now."""
    words = sql.split("(", 1)[0].split()[:8]
    err.print(f"{name}: {' '.join(words)}", style="dim", markup=False)


def _show(
    settings: Settings,
    migrations: list[Migration],
    kept: Mapping[str, list[str]],
    as_json: bool,
) -> None:
    """Print the SQL of migrations and of terms, ready for another client."""
    statements = {
        migration.name: [
            statement.sql for statement in render(migration, settings.database, settings.cluster)
        ]
        for migration in migrations
    }
    statements |= kept
    if as_json:
        out.print_json(json.dumps({**_summary(settings, [], {}), "statements": statements}))
        return
    _print(statements)
    if not statements:
        err.print(f"database {settings.database} is up to date")


def _print(statements: Mapping[str, list[str]]) -> None:
    """Print statements by the name of their file."""
    for name, sql in statements.items():
        out.print(f"-- {name}", markup=False, soft_wrap=True)
        for statement in sql:
            out.print(f"{statement};\n", markup=False, soft_wrap=True)


def _summary(
    settings: Settings, applied: list[Migration], kept: Mapping[str, list[str]]
) -> dict[str, Any]:
    names = [migration.name for migration in applied]
    return {**_about(settings), "applied": names, "terms_changed": list(kept)}


def _about(settings: Settings) -> dict[str, Any]:
    return {"database": settings.database, "cluster": settings.cluster}
