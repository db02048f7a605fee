"""Results of named queries as tables for a person: units shown, shares as bars, gaps visible.

A terminal may be narrow: of several ways to lay a result out, the fullest that fits is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from jobs.drawings import bar, series
from pipeline.warehouse.queries import Result
from pipeline.warehouse.query_files import Column, Pivot

#: Columns that group the rows below them.
_GROUPS = ("section", "journey_number")
_LEFT = frozenset({"text", "list", "share", "time"})
_WRAPPED = frozenset({"text", "list"})
_UNITS_OF_TIME = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_FEWEST_COLUMNS = 4
_BOUNDLESS = 10_000
_MORE = "a wider terminal or --format json shows more"


def present(result: Result, console: Console) -> None:
    """Print a named query's result as a table.

    Args:
        result: The result.
        console: Where to.
    """
    console.print(Text(result.query.title, style="bold"))
    asked = _asked(result)
    if asked:
        console.print(Text(asked, style="dim"))
    if not result.rows:
        console.print(Text("nothing found", style="yellow"))
        return
    table, note = _fitting(result, console)
    console.print(table, crop=False)
    for line in series(result, console.width):
        console.print(line)
    if note:
        console.print(Text(note, style="dim"))


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units, such as ``3 d 4 h`` or ``0.25 s``."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 9.995:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    place = next(at for at, (_, size) in enumerate(_UNITS_OF_TIME) if whole >= size)
    unit, size = _UNITS_OF_TIME[place]
    count, rest = divmod(whole, size)
    if size == 1 or rest < _UNITS_OF_TIME[place + 1][1]:
        return f"{count:,} {unit}"
    smaller, smaller_size = _UNITS_OF_TIME[place + 1]
    return f"{count:,} {unit} {rest // smaller_size} {smaller}"


def instant(value: datetime) -> str:
    """Return a time as a person reads it, in UTC, to the second."""
    return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def _fitting(result: Result, console: Console) -> tuple[Table, str]:
    """Return the fullest table that fits, and what to say about it.

    Where none fits it is the last, wider than the terminal: a number that was cut off would be
    another number.
    """
    boundless = console.options.update(max_width=_BOUNDLESS)
    for table, note in _layouts(result):
        for column in table.columns:  # rich breaks words rather than let a column have its width
            content = Group(column.header, *column.cells)
            measured = Measurement.get(console, boundless, content)
            column.min_width = measured.maximum if column.no_wrap else measured.minimum
        needed = Measurement.get(console, boundless, table).minimum
        if needed <= console.width:
            return table, note
    table.width = needed
    return table, note


def _asked(result: Result) -> str:
    """Return the parameters that differ from their defaults."""
    return ", ".join(
        f"{parameter.name} {_plain(result.parameters[parameter.name])}"
        for parameter in result.query.parameters
        if parameter.default is None
        or result.parameters[parameter.name] != parameter.read(parameter.default)
    )


def _layouts(result: Result) -> Iterator[tuple[Table, str]]:
    """Yield tables from the fullest to the narrowest, each with what to say about it."""
    pivot = result.query.pivot
    columns = list(result.query.columns)
    rows = result.rows
    if pivot is not None:
        yield _matrix(result, pivot), ""
        brief = replace(pivot, cells=pivot.cells[:1])
        more = len(pivot.cells) > 1
        note = f"{pivot.cells[0]} only; {_MORE}" if more else ""
        yield _matrix(result, brief), note
        yield _matrix(result, replace(brief, rows=pivot.columns, columns=pivot.rows)), note
        fewer = range(len({_key(result, pivot.columns, row) for row in rows}) - 1, 2, -1)
        for most in fewer if pivot.totals else ():
            yield _matrix(_lumped(result, brief, most), brief), note or _MORE
        place = [column.name for column in columns].index(pivot.cells[0])
        rows = [row for row in rows if row[place]]
    if any(column.unit == "measured" for column in columns):
        columns = [column for column in columns if column.name not in ("unit", "at")]
    gaps = f"without rows of 0; {_MORE}" if pivot is not None else ""
    for shown in range(len(columns), min(_FEWEST_COLUMNS, len(columns)) - 1, -1):
        left_out = ", ".join(column.name for column in columns[shown:])
        note = f"without {left_out}; {_MORE}" if left_out else gaps
        yield _listing(Result(result.query, {}, rows), columns[:shown]), note


def _key(result: Result, name: str, row: Sequence[Any]) -> Any:
    return row[[column.name for column in result.query.columns].index(name)]


def _lumped(result: Result, pivot: Pivot, most: int) -> Result:
    """Keep the columns of the matrix with the highest totals and add up the others."""
    at = {column.name: place for place, column in enumerate(result.query.columns)}
    column, cell = at[pivot.columns], at[pivot.cells[0]]
    totals: Counter[Any] = Counter()
    for row in result.rows:
        totals[row[column]] += row[cell]
    kept = {name for name, _ in totals.most_common(most)}
    rows: list[tuple[Any, ...]] = []
    others: dict[Any, list[Any]] = {}
    for row in result.rows:
        if row[column] in kept:
            rows.append(row)
        elif (key := row[at[pivot.rows]]) in others:
            others[key][cell] += row[cell]
        else:
            others[key] = [*row[:column], "(other)", *row[column + 1 :]]
    return Result(result.query, result.parameters, rows + [tuple(row) for row in others.values()])


def _listing(result: Result, columns: Sequence[Column]) -> Table:
    names = [column.name for column in result.query.columns]
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, collapse_padding=True)
    for column in columns:
        table.add_column(
            _heading(column),
            justify="left" if column.unit in _LEFT else "right",
            no_wrap=column.unit not in _WRAPPED,
            overflow="fold",
        )
    group = next((names.index(name) for name in _GROUPS if name in names), None)
    for number, row in enumerate(result.rows):
        if group is not None and number and row[group] != result.rows[number - 1][group]:
            table.add_section()
        values = dict(zip(names, row, strict=True))
        table.add_row(*(_cell(values, column) for column in columns))
    return table


def _cell(values: dict[str, Any], column: Column) -> Text:
    if column.unit != "measured":
        return _shown(values[column.name], column.unit)
    unit = values["unit"]
    if unit == "time":
        return _shown(values["at"], unit)
    value = values[column.name]
    if unit == "share" and value is not None:
        return Text(_FORMATS[unit](value))
    return _shown(value, unit if unit in _FORMATS else "number")


def _matrix(result: Result, pivot: Pivot) -> Table:
    """Return a table with the values of one column as columns; a gap stands out."""
    at = {column.name: place for place, column in enumerate(result.query.columns)}
    rows = list(dict.fromkeys(row[at[pivot.rows]] for row in result.rows))
    columns = list(dict.fromkeys(row[at[pivot.columns]] for row in result.rows))
    found = {(row[at[pivot.rows]], row[at[pivot.columns]]): row for row in result.rows}
    shown = [result.query.columns[at[name]] for name in pivot.cells]
    single = len(shown) == 1
    totals = single and pivot.totals
    table = Table(
        header_style="bold",
        box=box.SIMPLE_HEAD if single else box.HORIZONTALS,
        show_lines=not single,
        collapse_padding=True,
    )
    table.add_column(pivot.rows, overflow="fold")
    for name in columns:
        table.add_column(_named(name), justify="right", overflow="fold")
    if totals:
        table.add_column("all", justify="right", style="bold")
    for name in rows:
        line = [found.get((name, column)) for column in columns]
        cells = [
            _crossing(shown, [row[at[cell]] for cell in pivot.cells], gaps=pivot.gaps)
            if row
            else Text("")
            for row in line
        ]
        if totals:
            total = sum(row[at[pivot.cells[0]]] for row in line if row)
            cells.append(_shown(total, shown[0].unit))
        table.add_row(_named(name), *cells)
    return table


def _crossing(columns: Sequence[Column], values: Sequence[Any], *, gaps: bool) -> Text:
    """Return one cell: the first value, and below it the others with their names."""
    if not values[0]:
        if len(values) == 1:
            return Text("·", style="dim")
        return Text("gap", style="red") if gaps else Text("0", style="dim")
    lines = [_shown(values[0], columns[0].unit)]
    for column, value in zip(columns[1:], values[1:], strict=True):
        text = _FORMATS[column.unit](value)
        if column.unit == "count":
            text += f" {_one(column.name) if value == 1 else column.name}"
        if value:
            lines.append(Text(text, style="dim"))
    return Text("\n").join(lines)


def _one(name: str) -> str:
    return name.removesuffix("ies") + "y" if name.endswith("ies") else name.removesuffix("s")


def _shown(value: Any, unit: str) -> Text:
    if value is None:
        return Text("–", style="dim")
    text = Text(_FORMATS[unit](value))
    if unit == "share":
        text.append(f" {bar(value)}", style="cyan")
    return text


def _heading(column: Column) -> str:
    """Return a column's name for a person; where values show their unit, it need not."""
    words = column.name.split("_")
    return " ".join(word for word in words if column.unit != "seconds" or word != "seconds")


def _named(value: Any) -> Text:
    return Text(str(value)) if value != "" else Text("(none)", style="dim")


def _listed(values: Sequence[str]) -> str:
    more = len(values) - 1
    return "".join(values[:1]) + (f" +{more}" if more > 0 else "")


def _plain(value: Any) -> str:
    return instant(value) if isinstance(value, datetime) else str(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}"


_FORMATS: dict[str, Callable[[Any], str]] = {
    "text": str,
    "list": _listed,
    "count": lambda value: f"{value:,}",
    "number": _number,
    "share": lambda value: f"{value * 100:5.1f} %",
    "difference": lambda value: f"{value * 100:+.1f} pp",
    "seconds": duration,
    "time": instant,
}
