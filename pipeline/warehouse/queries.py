"""Asking the named queries: every value bound, answers as rows or in a format of ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from clickhouse_connect.driver.client import Client

from pipeline.errors import RejectedInput
from pipeline.warehouse.client import explained
from pipeline.warehouse.query_files import NamedQuery, named_queries


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
        raise RejectedInput(f"no named query {name!r} {_nearest(name, list(known))}")
    return known[name]


def bind(query: NamedQuery, values: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of all parameters of a query, defaults included.

    Args:
        query: The query.
        values: Values as text, by name.

    Raises:
        RejectedInput: A parameter is unknown, missing or not of its type. Shows no value.
    """
    known = {parameter.name: parameter for parameter in query.parameters}
    for name in values:
        if name not in known:
            raise RejectedInput(
                f"query {query.name} has no parameter {name!r} {_nearest(name, list(known))}"
            )
    bound = {}
    for name, parameter in known.items():
        text = values.get(name, parameter.default)
        if text is None:
            raise RejectedInput(
                f"query {query.name} needs parameter {name}: {parameter.description}"
            )
        bound[name] = parameter.read(text)
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


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 3, 0.4)
    return f"(did you mean {' or '.join(near)}?)" if near else f"(there are: {', '.join(known)})"
