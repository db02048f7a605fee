"""The files of the named queries: the header that says what each takes and returns, and the SQL.

A file begins with comment lines: its title, what it answers, and then a line for every parameter
and every column of the result::

    -- Top paths
    -- The sequences of touchpoints that customers take most, …
    --
    -- param depth UInt16 = 6: steps of a path that count; 0 counts all
    -- param customer String: no default, so it must be given
    -- filters steps
    -- column share share: of all journeys
    -- pivot touchpoint channel: interactions
    -- limit top

``filters`` stands for the parameters that every query takes, applied to steps, to journeys as a
whole, to moments or to promises (``FILTERS``); a query that means them otherwise lists them. A
column's unit says what its values are: text, list, count, number, share, difference (of two
shares), seconds, time, or measured (in the unit that the column ``unit`` names; an instant is in
the column ``at``). ``pivot`` names the columns that become rows, columns and cells where a person
reads the result, ``with gaps`` where a 0 is to stand out, ``with totals`` where the first of the
cells adds up, ``with gaps and totals``; ``limit`` the parameter that limits the rows, where the
query itself adds up the rest. A parameter of type Float64 is a quantity, 0 or more; one of a few
words is an ``Enum('first', 'every')``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from importlib.resources import files
from math import isfinite
from typing import Any

from pipeline.errors import RejectedInput

#: What the values of a column can be.
UNITS = frozenset(
    ["text", "list", "count", "number", "share", "difference", "seconds", "time", "measured"]
)

#: What to write where an instant is wanted.
A_TIME = "a time such as 2026-10-01 or 2026-10-01T12:00:00Z"

#: The parameters that ``filters`` stands for, as they are written out, by what they are applied to.
FILTERS: dict[str, tuple[str, ...]] = {
    "steps": (
        "since DateTime64(6, 'UTC') = 1970-01-01: interactions that happened at or after this",
        "until DateTime64(6, 'UTC') = 2100-01-01: interactions that happened before this",
        "segment String = : only customers of this segment, the latest delivered; (none) for those "
        "without",
        "channel String = : only interactions on this channel",
        "stage String = : only interactions at this lifecycle stage",
        "touchpoint String = : only interactions at this touchpoint",
        "outcome String = : only interactions in journeys whose last outcome is this; (none) for "
        "journeys without",
    ),
    "journeys": (
        "since DateTime64(6, 'UTC') = 1970-01-01: journeys that began at or after this",
        "until DateTime64(6, 'UTC') = 2100-01-01: journeys that began before this",
        "segment String = : only customers of this segment, the latest delivered; (none) for those "
        "without",
        "channel String = : only journeys with an interaction on this channel",
        "stage String = : only journeys with an interaction at this lifecycle stage",
        "touchpoint String = : only journeys with an interaction at this touchpoint",
        "outcome String = : only journeys whose last outcome is this; (none) for those without",
    ),
    "moments": (
        "since DateTime64(6, 'UTC') = 1970-01-01: moments that occurred at or after this",
        "until DateTime64(6, 'UTC') = 2100-01-01: moments that occurred before this",
        "segment String = : only customers of this segment, the latest delivered; (none) for those "
        "without",
        "channel String = : only moments that an interaction on this channel caused",
        "stage String = : only moments that an interaction at this lifecycle stage caused",
        "touchpoint String = : only moments that an interaction at this touchpoint caused",
        "outcome String = : only moments that an interaction caused in a journey whose last "
        "outcome is this; (none) for journeys without",
    ),
    "promises": (
        "since DateTime64(6, 'UTC') = 1970-01-01: promises made at or after this",
        "until DateTime64(6, 'UTC') = 2100-01-01: promises made before this",
        "segment String = : only customers of this segment, the latest delivered; (none) for those "
        "without",
        "channel String = : only promises that an interaction on this channel made",
        "stage String = : only promises that an interaction at this lifecycle stage made",
        "touchpoint String = : only promises that an interaction at this touchpoint made",
        "outcome String = : only promises that an interaction made in a journey whose last "
        "outcome is this; (none) for journeys without",
    ),
}

_FILTERS = re.compile(r"^filters (\w+)$")
_PARAM = re.compile(r"^param (\w+) ([^=:]+(?:\([^)]*\))?)(?: = (.*?))?: (.+)$")
_COLUMN = re.compile(r"^column (\w+) (\w+): (.+)$")
_PIVOT = re.compile(r"^pivot (\w+) (\w+)(?: with ([a-z ]+))?: ([\w ]+)$")
_LIMIT = re.compile(r"^limit (\w+)$")
_UNSIGNED = re.compile(r"^UInt(\d+)$")
_WORDS = re.compile(r"^Enum\(('\w+'(?:, '\w+')*)\)$")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Parameter:
    """A value that a query takes.

    Attributes:
        name: Its name in the SQL.
        type: ClickHouse type.
        default: Default as text, None where it must be given.
        description: What it does.
    """

    name: str
    type: str
    default: str | None
    description: str

    def read(self, text: str) -> Any:
        """Return the value that a text stands for.

        Raises:
            RejectedInput: The text is not of the parameter's type; does not show it.
        """
        read, expected = _reader(self.type)
        try:
            return read(text)
        except (ValueError, KeyError, OverflowError):
            raise RejectedInput(f"parameter {self.name} must be {expected}") from None


@dataclass(frozen=True)
class Column:
    """A column of a query's result.

    Attributes:
        name: Its name.
        unit: One of ``UNITS``.
        description: What it holds.
    """

    name: str
    unit: str
    description: str


@dataclass(frozen=True)
class Pivot:
    """How a person reads a long result.

    Attributes:
        rows: Column whose values become rows.
        columns: Column whose values become columns.
        cells: Columns that are shown where they cross.
        gaps: Whether a 0 is a gap in what the business does, and no number like another.
        totals: Whether the first of the cells adds up over rows and over columns.
    """

    rows: str
    columns: str
    cells: tuple[str, ...]
    gaps: bool = False
    totals: bool = False


@dataclass(frozen=True)
class NamedQuery:
    """One question.

    Attributes:
        name: Name of its file without the suffix.
        title: The question in a few words.
        description: What it answers and what counts.
        parameters: What it takes, in the file's order.
        columns: What it returns, in order.
        pivot: How a person reads it, or None where that is as it comes.
        limited_by: The parameter that limits the rows, or None where the SQL just ends.
        sql: The statement with ``{name:Type}`` placeholders, ending in its ORDER BY.
    """

    name: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    pivot: Pivot | None
    limited_by: str | None
    sql: str


@lru_cache(maxsize=1)
def named_queries() -> dict[str, NamedQuery]:
    """Return every named query by name, sorted."""
    found = [
        parse(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for file in files("schemas").joinpath("sql/queries").iterdir()
        if file.name.endswith(".sql")
    ]
    return {query.name: query for query in sorted(found, key=lambda query: query.name)}


def parse(name: str, text: str) -> NamedQuery:
    """Read a query's file.

    Raises:
        ValueError: Its header is not as this module describes.
    """
    lines = text.split("\n")
    end = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    title, *header = [line.removeprefix("--").strip() for line in lines[:end]]
    prose: list[str] = []
    parameters: list[Parameter] = []
    columns: list[Column] = []
    pivot, limited_by = None, None
    for line in filter(None, header):
        if _PARAM.match(line):
            parameters.append(_parameter(line))
        elif (found := _FILTERS.match(line)) and found[1] in FILTERS:
            parameters += [_parameter(f"param {text}") for text in FILTERS[found[1]]]
        elif found := _COLUMN.match(line):
            columns.append(Column(found[1], found[2], found[3]))
        elif found := _PIVOT.match(line):
            traits = (found[3] or "").split(" and ")
            pivot = Pivot(
                found[1], found[2], tuple(found[4].split()), "gaps" in traits, "totals" in traits
            )
        elif found := _LIMIT.match(line):
            limited_by = found[1]
        elif parameters or columns:
            raise ValueError(f"{name}: neither param, filters, column, pivot nor limit: {line}")
        else:
            prose.append(line)
    if not columns or {column.unit for column in columns} - UNITS:
        raise ValueError(f"{name}: needs columns, with known units")
    return NamedQuery(
        name=name,
        title=title,
        description=" ".join(prose),
        parameters=tuple(parameters),
        columns=tuple(columns),
        pivot=pivot,
        limited_by=limited_by,
        sql="\n".join(lines[end:]).strip(),
    )


def _parameter(line: str) -> Parameter:
    found = _PARAM.match(line)
    if found is None:
        raise ValueError(f"no parameter: {line}")
    return Parameter(found[1], found[2], found[3], found[4])


def _reader(kind: str) -> tuple[Callable[[str], Any], str]:
    """Return how to read a value of a ClickHouse type, and what to write."""
    unsigned = _UNSIGNED.match(kind)
    if unsigned:
        most = 2 ** int(unsigned[1]) - 1
        return lambda text: _whole(text, most), f"a whole number from 0 to {most}"
    if kind.startswith("DateTime64"):
        return read_instant, A_TIME
    if kind == "Float64":
        return _number, "a number, 0 or more"
    if kind == "Bool":
        return lambda text: _TRUTH[text.lower()], "true or false"
    words = _WORDS.match(kind)
    if words:
        known = {word.strip("'"): word.strip("'") for word in words[1].split(", ")}
        return lambda text: known[text], f"one of {', '.join(known)}"
    return str, "a text"


def _whole(text: str, most: int) -> int:
    value = int(text)
    if not 0 <= value <= most:
        raise ValueError
    return value


def _number(text: str) -> float:
    value = float(text)
    if not isfinite(value) or value < 0:
        raise ValueError
    return value


def read_instant(text: str) -> datetime:
    """Read an ISO 8601 date or time; UTC where it names no zone.

    Raises:
        ValueError: It is none.
    """
    # Python 3.10 does not know the Z
    value = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    if value.tzinfo is None:
        return value.replace(tzinfo=timezone.utc)
    return value.astimezone(timezone.utc)
