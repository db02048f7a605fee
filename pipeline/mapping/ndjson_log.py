"""The rows of an NDJSON log: one JSON object a line, each with keys of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain, islice
from typing import Any

from pipeline.errors import RejectedInput
from pipeline.mapping.log_rows import (
    ABSENT,
    MAX_LINE,
    ROW_COLUMN,
    UNNUMBERED,
    BadRow,
    Row,
    row_number,
    value_at,
)
from pipeline.mapping.values import Misfit
from pipeline.producers.lines import Lines, Source

#: Rows that are looked at to tell a missing column from an empty one.
PEEKED_ROWS = 1_000

_NUMBER = re.compile(rf'\{{\s*"{ROW_COLUMN}"\s*:\s*([0-9]+)\s*[,}}]'.encode())


class NdjsonLog:
    """One JSON object a line; numbers keep every digit.

    Args:
        source: The open file.
    """

    columns: tuple[str, ...] | None = None
    reject_header: bytes | None = None

    def __init__(self, source: Source) -> None:
        self.position, self.size = source.position, source.size
        self._name = source.name
        rows = self._read(Lines(source, MAX_LINE))
        self._peeked = list(islice(rows, PEEKED_ROWS))
        self._rows = chain(self._peeked, rows)

    def lacks(self, names: Iterable[str]) -> list[str]:
        """Return which of the columns are in none of the first 1,000 rows."""
        seen = [row.values for row in self._peeked if isinstance(row, Row)]
        if not seen:
            return []
        return [
            name for name in sorted(set(names)) if all(value_at(v, name) is ABSENT for v in seen)
        ]

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield every row."""
        return self._rows

    def _read(self, lines: Lines) -> Iterator[Row | BadRow]:
        number = 0
        for line in lines:
            if not line.whole:
                raise RejectedInput(f"{self._name}: line {line.number} is over {MAX_LINE} bytes")
            text = line.value.strip()
            if not text:
                continue
            number += 1
            kept = _numbered(text, number)
            try:
                values = json.loads(
                    text.decode(), parse_float=Decimal, parse_constant=_no_constant,
                    object_pairs_hook=_unique,
                )  # fmt: skip
                if not isinstance(values, dict):
                    raise ValueError("not a JSON object")
                place = values.pop(ROW_COLUMN, number)
                if not isinstance(place, int) or isinstance(place, bool) or place < 1:
                    raise ValueError(UNNUMBERED)
            except (ValueError, RecursionError) as error:
                garbled = isinstance(error, UnicodeDecodeError)
                reason = Misfit.BAD_ENCODING if garbled else Misfit.BAD_ROW
                why = "not UTF-8" if garbled else _json_error(error)
                yield BadRow(_number_in(text) or number, line.number, kept, reason.value, why)
            else:
                yield Row(place, line.number, values, kept)


def _numbered(text: bytes, number: int) -> bytes:
    """Return an object with its row number put first, unless it carries one."""
    inside = text[1:].lstrip()
    if not text.startswith(b"{") or inside == b"}" or f'"{ROW_COLUMN}"'.encode() in text:
        return text
    return f'{{"{ROW_COLUMN}":{number},'.encode() + inside


def _number_in(text: bytes) -> int:
    """Return the row number that a line which is no object begins with; 0 where there is none."""
    found = _NUMBER.match(text)
    return row_number(found[1].decode()) if found else 0


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _json_error(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}: column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
