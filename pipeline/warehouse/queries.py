"""Asking the named queries: every value bound, answers as rows, JSON, CSV or as ClickHouse writes.

JSON and CSV are written here, with the same values in both: ClickHouse's own CSV has nulls, lists
and times that neither a spreadsheet nor pandas reads.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from clickhouse_connect.driver.client import Client

from pipeline.errors import RejectedInput
from pipeline.warehouse.client import explained
from pipeline.warehouse.names import nearest
from pipeline.warehouse.query_files import NamedQuery, named_queries

#: Between the values of a list in a cell of a CSV.
LIST_SEPARATOR = "; "


@dataclass(frozen=True)
class Result:
    """The answer to a named query.

    Attributes:
        query: The query.
        parameters: The values it was asked with, defaults included.
        rows: The rows; values in the order of ``query.columns``.
    """

    query: NamedQuery
    parameters: dict[str, Any]
    rows: list[tuple[Any, ...]]


def named_query(name: str) -> NamedQuery:
    """Return one named query.

    Raises:
        RejectedInput: There is none of that name; says which come near.
    """
    known = named_queries()
    if name not in known:
        raise RejectedInput(f"no named query {name!r} {nearest(name, list(known))}")
    return known[name]


def bind(query: NamedQuery, values: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of all parameters of a query, defaults included.

    Args:
        query: The query.
        values: Values as text, by name.

    Raises:
        RejectedInput: A parameter is unknown, missing or not of its type, or the time asked for has
            no length. Shows no value.
    """
    known = {parameter.name: parameter for parameter in query.parameters}
    for name in values:
        if name not in known:
            raise RejectedInput(
                f"query {query.name} has no parameter {name!r} {nearest(name, list(known))}"
            )
    bound = {}
    for name, parameter in known.items():
        text = values.get(name, parameter.default)
        if text is None:
            raise RejectedInput(
                f"query {query.name} needs parameter {name}: {parameter.description}"
            )
        bound[name] = parameter.read(text)
    if {"since", "until"} <= bound.keys() and bound["since"] >= bound["until"]:
        default = "" if "until" in values else f" (by default {known['until'].default})"
        raise RejectedInput(f"parameter since must be before until{default}")
    return bound


def run(
    client: Client, name: str, values: Mapping[str, str] | None = None, limit: int = 0
) -> Result:
    """Ask a named query.

    Args:
        client: Client on a migrated database.
        name: Name of the query.
        values: Parameters as text; the defaults apply where one is not given.
        limit: Rows to return at most; 0 returns all. A query that adds up the rest returns it in
            one row more.

    Raises:
        RejectedInput: The name or a parameter is wrong.
        RetryableError: ClickHouse does not answer for now.
        SchemaMismatch: The tables are not there.
    """
    query, sql, bound = _prepared(name, values or {}, limit)
    with explained():
        rows = client.query(sql, parameters=bound).result_rows
    return Result(query, bound, [tuple(row) for row in rows])


def fetch(
    client: Client,
    name: str,
    values: Mapping[str, str] | None = None,
    limit: int = 0,
    *,
    form: str,
) -> bytes:
    """Ask a named query and return the answer as ClickHouse writes it.

    Args:
        client: Client on a migrated database.
        name: Name of the query.
        values: Parameters as text; the defaults apply where one is not given.
        limit: As in ``run``.
        form: Output format of ClickHouse: Parquet, CSVWithNames, JSONEachRow, ArrowStream, …

    Raises:
        RejectedInput: The name or a parameter is wrong.
        RetryableError: ClickHouse does not answer for now.
        SchemaMismatch: The tables are not there.
    """
    _, sql, bound = _prepared(name, values or {}, limit)
    with explained():
        return client.raw_query(sql, parameters=bound, fmt=form)


def as_json(result: Result) -> bytes:
    """Return a result as a JSON array of objects; times are ISO 8601 in UTC, with a Z."""
    names = _names(result)
    rows = [dict(zip(names, row, strict=True)) for row in result.rows]
    return orjson.dumps(rows, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2) + b"\n"


def as_csv(result: Result) -> bytes:
    """Return a result as CSV in UTF-8, column names first.

    The values are those of ``as_json``. A null is an empty cell, the values of a list are joined by
    ``LIST_SEPARATOR``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_names(result))
    for row in result.rows:
        values = orjson.loads(orjson.dumps(row, option=orjson.OPT_UTC_Z))
        writer.writerow(LIST_SEPARATOR.join(v) if isinstance(v, list) else v for v in values)
    return text.getvalue().encode()


def _names(result: Result) -> list[str]:
    return [column.name for column in result.query.columns]


def _prepared(
    name: str, values: Mapping[str, str], limit: int
) -> tuple[NamedQuery, str, dict[str, Any]]:
    """Return query, SQL and bound values; the limit where the query takes it, or after it."""
    query = named_query(name)
    if limit and query.limited_by:
        values = {query.limited_by: str(limit), **values}
    bound = bind(query, values)
    if limit and not query.limited_by:
        return query, f"{query.sql}\nLIMIT {{row_limit:UInt64}}", {**bound, "row_limit": limit}
    return query, query.sql, bound
