"""What a foreign log is made of, whatever its format: rows, and rows that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

#: Column of a reject file: the number that a row had in the log it was rejected from.
ROW_COLUMN = "touchline_row"
#: What is said where that number is not there, as nothing else tells which row it was.
UNNUMBERED = f"{ROW_COLUMN} is not a row number, so the row is counted in this file"
#: Longest line of a text log, in bytes.
MAX_LINE = 64 << 20
#: A value that a row does not have.
ABSENT = object()

_MAX_DIGITS = 18


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        number: 1 for the first row of data: neither a header nor blank lines count. In a file of
            rejected rows it is the number in the log they come from, by ``ROW_COLUMN``.
        line: Line of the file that it begins on; 0 where the format has no lines.
        values: The cells by column.
        raw: The row as the file has it; empty in Parquet.
    """

    number: int
    line: int
    values: Mapping[str, Any]
    raw: bytes = b""


@dataclass(frozen=True)
class BadRow:
    """One row that cannot be read.

    Attributes:
        number: As in ``Row``; the error says so where ``ROW_COLUMN`` does not tell it.
        line: As in ``Row``.
        raw: The row as the file has it.
        reason: Reason code.
        error: What is wrong, in words.
    """

    number: int
    line: int
    raw: bytes
    reason: str
    error: str


class Log(Protocol):
    """An open log."""

    #: Names of the columns; None where every row has its own.
    columns: tuple[str, ...] | None
    #: First line of a file of rejected rows; None where it has none.
    reject_header: bytes | None
    #: Returns how many bytes of the file have been read.
    position: Callable[[], int]
    #: Size of the file in bytes; None where it is not known.
    size: int | None

    def lacks(self, names: Iterable[str]) -> list[str]:
        """Return which of the columns are not there."""
        ...

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield every row, once.

        Raises:
            RejectedInput: The file cannot be read on.
        """
        ...


def row_number(cell: Any) -> int:
    """Return the row number that a cell of ``ROW_COLUMN`` holds, 0 where it holds none."""
    text = str(cell).strip()
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else 0


def value_at(values: Mapping[str, Any], name: str) -> Any:
    """Return a cell, looking inside nested objects by ``a.b``; ``ABSENT`` where there is none."""
    found = values.get(name, ABSENT)
    if found is not ABSENT or "." not in name:
        return found
    inner: Any = values
    for part in name.split("."):
        inner = inner.get(part, ABSENT) if isinstance(inner, Mapping) else ABSENT
    return inner
