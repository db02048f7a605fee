"""How long rows are kept: terms from the settings, as TTLs of the tables.

A table keeps its rows for ever unless a setting says otherwise. What detection needs of the past
bounds the terms from below: see ``check_terms``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from clickhouse_connect.driver.client import Client

from pipeline.errors import FatalError, SettingsError
from pipeline.moments.rules import Rules
from pipeline.settings import PREFIX, Settings
from pipeline.warehouse.client import explained
from pipeline.warehouse.ddl import Migration, render


@dataclass(frozen=True)
class Kept:
    """A table whose rows have a term.

    Attributes:
        table: Its name.
        column: The time at which a row's term begins.
        setting: The setting with the term in days.
        by_month: Whether the table is partitioned by the month of that time.
        sharded: Whether a cluster's shards have different rows of it.
    """

    table: str
    column: str
    setting: str
    by_month: bool = True
    sharded: bool = True


#: Every table with rows that a term can end.
KEPT = (
    Kept("interaction_records", "occurred_at", "keep_interactions_days"),
    Kept("step_records", "occurred_at", "keep_interactions_days"),
    Kept("journey_records", "started_at", "keep_interactions_days"),
    Kept("moment_records", "cause_at", "keep_moments_days"),
    Kept("promise_records", "made_at", "keep_moments_days"),
    Kept("rejections", "rejected_at", "keep_rejections_days", by_month=False),
    Kept("alert_records", "created_at", "keep_alerts_days", by_month=False, sharded=False),
)

_DAY = 86_400_000_000
_ENGINES = """
SELECT name, engine_full FROM system.tables
WHERE database = {database:String} AND name IN {tables:Array(String)}
"""
_TTL = re.compile(r" TTL (.+?)(?: SETTINGS |$)", re.DOTALL)
_WHOLE = re.compile(r"\bttl_only_drop_parts = (?:1|true)\b")
_PLACEHOLDER = re.compile(r"\$\{(name|column|days|whole)\}")


def check_terms(settings: Settings, rules: Rules) -> None:
    """Make sure that detection finds the past it needs.

    A worker that starts, or that meets a late event, makes its state anew from what is stored.

    Args:
        settings: With the terms.
        rules: Of the catalog in use.

    Raises:
        SettingsError: A term is shorter than detection looks back; says how long it must be.
    """
    past = rules.reach
    needs = {
        "keep_interactions_days": past,
        "keep_moments_days": max(past, rules.memory),
    }
    # the watermark, from which detection looks back, is behind by the lateness
    behind = int(max(settings.lateness, settings.idle) * 1_000_000)
    problems = []
    for name, needed in needs.items():
        days = getattr(settings, name)
        least = -(-(needed + behind) // _DAY) + 1
        if days is not None and days < least:
            problems.append(
                f"{PREFIX}{name.upper()}: {days} days are less than the rules of catalog "
                f"{rules.version} look back (fix: {least} or more, or rules that look back less)"
            )
    if problems:
        raise SettingsError("\n".join(problems))


def lifecycle_statements(client: Client | None, settings: Settings) -> dict[str, list[str]]:
    """Return what makes the tables keep their rows as the settings say, by table.

    Args:
        client: Connected client; None, or a database without the tables, for new ones.
        settings: Name the database and the terms.

    Returns:
        Only tables where something is to be changed.

    Raises:
        FatalError: A table has a TTL of somebody else's making and a term is set for it.
        RetryableError: ClickHouse does not answer for now.
    """
    names = {kept.table: _name(kept, settings) for kept in KEPT}
    engines = _engines(client, settings, list(names.values())) if client else {}
    found = {}
    for kept in KEPT:
        name = names[kept.table]
        statements = list(_changes(kept, name, engines.get(name, ""), settings))
        if statements:
            found[name] = statements
    return found


def apply_lifecycle(client: Client, statements: dict[str, list[str]]) -> None:
    """Run what ``lifecycle_statements`` returned.

    Raises:
        FatalError: ClickHouse refused a statement.
        RetryableError: ClickHouse does not answer for now.
    """
    for of_table in statements.values():
        for sql in of_table:
            with explained():
                client.command(sql)


def _engines(client: Client, settings: Settings, tables: list[str]) -> dict[str, str]:
    """Return what the server says of the engines of tables, by name; nothing of those it lacks."""
    used, client.database = client.database, None  # the database may not exist yet
    try:
        with explained():
            asked = {"database": settings.database, "tables": tables}
            rows = client.query(_ENGINES, parameters=asked).result_rows
    finally:
        client.database = used
    return {row[0]: row[1] for row in rows}


def _changes(kept: Kept, name: str, engine: str, settings: Settings) -> Iterator[str]:
    """Yield the statements of one table.

    Args:
        kept: The table.
        name: Name of the table that holds the rows.
        engine: What the server says of its engine; empty where the table is not there.
        settings: With the term.
    """
    days: int | None = getattr(settings, kept.setting)
    stated = _TTL.search(engine)
    ttl = stated[1] if stated else ""
    ours = re.fullmatch(rf"{kept.column} \+ toIntervalDay\((\d+)\)", ttl)
    if days is None:
        if ours:
            yield from _rendered("keep_for_ever", kept, name, settings)
        return
    if ttl and not ours:
        raise FatalError(
            f"table {settings.database}.{name} has a TTL that is not Touchline's, {ttl} (fix: "
            f"remove one of them: the table's, or the setting {PREFIX}{kept.setting.upper()})"
        )
    whole = bool(_WHOLE.search(engine))
    if not (ours and int(ours[1]) == days and whole == kept.by_month):
        yield from _rendered("keep", kept, name, settings)


def _rendered(file: str, kept: Kept, name: str, settings: Settings) -> Iterator[str]:
    text = files("schemas").joinpath(f"sql/lifecycle/{file}.sql").read_text(encoding="utf-8")
    values = {
        "name": name,
        "column": kept.column,
        "days": str(getattr(settings, kept.setting)),
        "whole": str(int(kept.by_month)),
    }
    template = _PLACEHOLDER.sub(lambda match: values[match[1]], text)
    for statement in render(
        Migration(1, f"{file}.sql", template), settings.database, settings.cluster
    ):
        yield statement.sql


def _name(kept: Kept, settings: Settings) -> str:
    return f"{kept.table}_local" if settings.cluster and kept.sharded else kept.table
