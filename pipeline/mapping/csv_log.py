"""The rows of a CSV.

Read by the standard library and not by a columnar engine, because one bad row must not cost its
neighbours: a ragged row, a stray quote or a byte that is not UTF-8 is one row that does not fit,
and what follows is read as if it had not been there.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.errors import RejectedInput
from pipeline.mapping.log_rows import (
    MAX_LINE,
    ROW_COLUMN,
    UNNUMBERED,
    BadRow,
    Row,
    row_number,
)
from pipeline.mapping.values import Misfit
from pipeline.producers.lines import Line, Lines, Source


class CsvLog:
    """A CSV with a header; every cell is text.

    Args:
        source: The open file.
        delimiter: Between two fields.

    Raises:
        RejectedInput: There is no usable header.
    """

    def __init__(self, source: Source, delimiter: str) -> None:
        self.position, self.size = source.position, source.size
        self._delimiter = delimiter
        self._feed = _Feed(Lines(source, MAX_LINE), source.name)
        first = next(self._records(), None)
        if first is None:
            raise RejectedInput(f"{source.name}: is empty (fix: the first line names the columns)")
        if self._feed.garbled:
            raise RejectedInput(f"{source.name}: line 1: is not UTF-8 (fix: save it as UTF-8)")
        if isinstance(first, str):
            raise RejectedInput(f"{source.name}: line 1: {first}")
        header = [name.strip() for name in first]
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise RejectedInput(f"{source.name}: line 1: column twice: {', '.join(twice)}")
        self._header = header
        self.columns: tuple[str, ...] | None = tuple(n for n in header if n != ROW_COLUMN)
        raw = self._feed.raw()
        self._numbered = ROW_COLUMN in header
        prefix = b"" if self._numbered else f"{ROW_COLUMN}{delimiter}".encode()
        self.reject_header: bytes | None = prefix + raw

    def lacks(self, names: Iterable[str]) -> list[str]:
        """Return which of the columns the header does not name."""
        return sorted(set(names) - set(self._header))

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield every row that the file has after its header."""
        for number, fields in enumerate(self._records(len(self._header)), 1):
            line, raw = self._feed.taken[0].number, self._feed.raw()
            values: dict[str, Any] = {}
            if isinstance(fields, str):
                original = self._number_in(raw) if self._numbered else number
            else:
                values = dict(zip(self._header, fields, strict=True))
                original = row_number(values.pop(ROW_COLUMN, number))
            kept = raw if self._numbered else f"{number}{self._delimiter}".encode() + raw
            reason, error = Misfit.BAD_ROW, fields if isinstance(fields, str) else ""
            if not error and self._feed.garbled:
                reason, error = Misfit.BAD_ENCODING, "not UTF-8"
            if not original:
                error = f"{error}; {UNNUMBERED}" if error else UNNUMBERED
            if error:
                yield BadRow(original or number, line, kept, reason.value, error)
            else:
                yield Row(original, line, values, kept)

    def _number_in(self, raw: bytes) -> int:
        """Return the row number before the first delimiter of a row whose columns are not known."""
        if self._header[0] != ROW_COLUMN:
            return 0
        first, delimiter, _ = raw.partition(self._delimiter.encode())
        return row_number(first.decode(errors="replace").strip('"')) if delimiter else 0

    def _records(self, width: int = 0) -> Iterator[list[str] | str]:
        """Yield the fields of each record, or what is wrong with it.

        A record over several lines that turns out wrong was most likely begun by a stray quote:
        its first line is given up and the others are read again.
        """
        reader = self._reader()
        while True:
            self._feed.begin()
            try:
                fields: list[str] | str = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fields = str(error)
            if not fields:
                continue
            if width and not isinstance(fields, str) and len(fields) != width:
                ours = int(self._numbered)  # a column that the log does not have
                fields = f"has {len(fields) - ours} fields, the header has {width - ours}"
            if isinstance(fields, str):
                self._feed.give_back()
                reader = self._reader()
            yield fields

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._feed, delimiter=self._delimiter, strict=True)


class _Feed:
    """Hands lines to the CSV reader and remembers which of them made the current record."""

    def __init__(self, lines: Lines, name: str) -> None:
        self._lines = iter(lines)
        self._name = name
        self._back: deque[Line] = deque()
        self.taken: list[Line] = []
        self.garbled = False

    def begin(self) -> None:
        self.taken, self.garbled = [], False

    def give_back(self) -> None:
        self._back.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    def raw(self) -> bytes:
        return b"\n".join(line.value for line in self.taken)

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        if not line.whole:
            raise RejectedInput(
                f"{self._name}: line {line.number} is longer than {MAX_LINE} bytes (is it text?)"
            )
        self.taken.append(line)
        try:
            return line.value.decode() + "\n"
        except UnicodeDecodeError:
            self.garbled = True
            return line.value.decode(errors="replace") + "\n"
