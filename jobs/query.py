"""``touchline query``: the named queries, for people and for other programs."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import orjson
import typer
from clickhouse_connect.driver.client import Client
from rich.table import Table
from rich.text import Text

from jobs.console import err, out, write_document
from jobs.tables import present
from jobs.whole_file import whole_file
from pipeline.embedded.stack import endpoints
from pipeline.errors import FatalError, RejectedInput
from pipeline.identify import KEY_LENGTH, Keyring
from pipeline.settings import Settings, load
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import check_schema, migrate
from pipeline.warehouse.names import check_names, named_in
from pipeline.warehouse.queries import Result, as_csv, as_json, bind, fetch, named_query, run
from pipeline.warehouse.query_files import NamedQuery, named_queries
from pipeline.warehouse.refresh import never_built

#: Rows of a table on a terminal, unless --limit says otherwise.
_SCREENFUL = 40
_KEY = re.compile(rf"^[0-9a-f]{{{KEY_LENGTH}}}$")


class Form(str, Enum):
    """What comes out."""

    table = "table"
    json = "json"
    csv = "csv"
    parquet = "parquet"
    arrow = "arrow"


_WRITTEN = {Form.json: as_json, Form.csv: as_csv}
#: What ClickHouse writes itself; Arrow as a file, which readers can map into memory.
_FETCHED = {Form.parquet: "Parquet", Form.arrow: "Arrow"}
_SUFFIXES = {f".{form.value}": form for form in Form if form is not Form.table}


def query(
    name: Annotated[
        str | None, typer.Argument(help="Name of the query; --list shows them.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="Parameter as name=value; may be repeated."),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            "--format",
            "-f",
            help="By default a table, or what --out's name says. A CSV has the values of the JSON: "
            "nulls are empty, lists joined by '; '.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Same as --format json.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help="Rows at most, 0 for all; a table shows 40 by default."),
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write instead of the terminal.")
    ] = None,
    show_list: Annotated[
        bool, typer.Option("--list", "-l", help="Show the queries and their parameters.")
    ] = False,
) -> None:
    """Ask what customers did: a named query, its result as table, JSON, CSV, Parquet or Arrow.

    For example: `touchline query top_paths -p since=2026-10-01 -p depth=4`, or one customer's
    journey: `touchline query timeline -p customer=customer_id:C-17`.
    """
    chosen = _form(form, json, target)
    if show_list or name is None:
        _list(chosen)
        return
    with usage():
        asked = named_query(name)
        values = _values(param or [])
        bind(asked, values)  # before anything is started
    _check_target(chosen, target)
    settings = load()
    check_data(settings)
    with endpoints(settings, kafka=False, clickhouse=True) as connected:
        with usage():
            if "customer" in values:
                values["customer"] = customer_key(values["customer"], connected.settings)
        client = connect(connected.settings)
        if connected.embedded_clickhouse:
            migrate(client, connected.settings)
        check_schema(client)
        with usage():
            check_names(client, named_in(asked, bind(asked, values)))
        say_if_never_built(client)
        _answer(client, asked, values, limit, chosen, target)


def _answer(
    client: Client,
    asked: NamedQuery,
    values: dict[str, str],
    limit: int | None,
    form: Form,
    target: Path | None,
) -> None:
    if form is Form.table:
        _show(client, asked, values, limit)
    elif form in _FETCHED:
        _write(fetch(client, asked.name, values, limit or 0, form=_FETCHED[form]), target)
    else:
        _write(_WRITTEN[form](run(client, asked.name, values, limit or 0)), target)


def _show(client: Client, asked: NamedQuery, values: dict[str, str], limit: int | None) -> None:
    """Print a table, saying so where rows are left out."""
    if asked.pivot is not None or (limit is None and asked.limited_by):
        limit = limit or 0
    wanted = _SCREENFUL if limit is None else limit
    if asked.limited_by:
        result, more = run(client, asked.name, values, wanted), False
    elif asked.pivot is not None:
        result, more = _first_lines(run(client, asked.name, values), asked.pivot.rows, wanted)
    else:
        result = run(client, asked.name, values, wanted and wanted + 1)
        more = 0 < wanted < len(result.rows)
        result = replace(result, rows=result.rows[:wanted] if more else result.rows)
    present(result, out)
    if more:
        err.print(f"only the first {wanted} rows are shown (--limit 0 shows all)")
    if not result.rows:
        err.print("what there is at all: touchline query data_quality")


def _first_lines(result: Result, line: str, wanted: int) -> tuple[Result, bool]:
    """Return a result with the first lines that a table has of it, and whether there are more."""
    place = [column.name for column in result.query.columns].index(line)
    lines = list(dict.fromkeys(row[place] for row in result.rows))
    kept = frozenset(lines[: wanted or None])
    rows = [row for row in result.rows if row[place] in kept]
    return replace(result, rows=rows), len(kept) < len(lines)


def _list(form: Form) -> None:
    queries = named_queries().values()
    if form not in (Form.table, Form.json):
        raise typer.BadParameter("the list is a table or JSON", param_hint="--format")
    if form is Form.json:
        listed = [
            {
                "name": item.name,
                "title": item.title,
                "description": item.description,
                "parameters": list(item.parameters),
                "columns": list(item.columns),
            }
            for item in queries
        ]
        _write(orjson.dumps(listed, option=orjson.OPT_INDENT_2) + b"\n", None)
        return
    table = Table("query", "answers", "parameters", header_style="bold", show_lines=True)
    for item in queries:
        parameters = Text("\n").join(
            Text.assemble(
                (parameter.name, "bold"),
                f" = {parameter.default}" if parameter.default is not None else " (required)",
            )
            for parameter in item.parameters
        )
        answers = Text.assemble((item.title, "bold"), f"\n{item.description}")
        table.add_row(Text(item.name), answers, parameters)
    out.print(table)


def _form(form: Form | None, json: bool, target: Path | None) -> Form:
    if json:
        if form not in (None, Form.json):
            raise typer.BadParameter("--json asks for another format", param_hint="--format")
        return Form.json
    if form is not None:
        return form
    if target is None:
        return Form.table
    if target.suffix not in _SUFFIXES:
        raise typer.BadParameter(
            "cannot tell the format from the file's name: end it in .json, .csv, .parquet or "
            ".arrow, or add --format",
            param_hint="--out",
        )
    return _SUFFIXES[target.suffix]


def _check_target(form: Form, target: Path | None) -> None:
    if form is Form.table and target is not None:
        raise typer.BadParameter("a table goes to the terminal", param_hint="--format")
    if form in _FETCHED and target is None and sys.stdout.isatty():
        raise typer.BadParameter(f"{_FETCHED[form]} is no text: name a file", param_hint="--out")
    if target is not None and not target.parent.is_dir():
        raise typer.BadParameter(f"no such directory: {target.parent}", param_hint="--out")


def check_data(settings: Settings) -> None:
    """Refuse to ask an embedded engine that was never there, which asking would create.

    Raises:
        FatalError: Its home directory does not exist.
    """
    if settings.embedded_clickhouse and not settings.home.expanduser().is_dir():
        raise FatalError(
            f"no data in {settings.home} yet (fix: run `touchline demo`, or `touchline up` and "
            "produce something, or set TOUCHLINE_HOME)"
        )


def say_if_never_built(client: Client) -> None:
    """Tell people whose data is older than the tables of journeys what to do."""
    if never_built(client):
        err.print(
            "the stored interactions are in no journey yet (fix: run `touchline rebuild` once)",
            style="yellow",
        )


def _values(params: list[str]) -> dict[str, str]:
    """Read name=value.

    Raises:
        RejectedInput: One has another form, or a name comes twice.
    """
    values: dict[str, str] = {}
    for number, item in enumerate(params, 1):
        name, equals, value = item.partition("=")
        if not equals:
            raise RejectedInput(f"parameter {number} is not of the form name=value")
        if name in values:
            raise RejectedInput(f"parameter {name} is given twice")
        values[name] = value
    return values


def customer_key(given: str, settings: Settings) -> str:
    """Return the key of a customer who is given as a key or as an identifier.

    Raises:
        RejectedInput: It is neither; does not show it.
    """
    if _KEY.match(given):
        return given
    kind, colon, value = given.partition(":")
    if not (kind and colon and value) or settings.pepper is None:
        raise RejectedInput(
            f"customer must be a customer key ({KEY_LENGTH} hexadecimal characters) or an "
            "identifier written kind:value, for example customer_id:C-17"
        )
    return Keyring(settings.pepper).key(kind, value)


def _write(data: bytes, target: Path | None) -> None:
    """Write to a file, whole or not at all, or to standard output."""
    if target is None:
        write_document(data)
        return
    with whole_file(target) as file:
        file.write(data)


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """Report what the user got wrong as wrong usage, which ends with exit code 2."""
    try:
        yield
    except RejectedInput as error:
        raise typer.BadParameter(str(error)) from None
