"""The rows of a Parquet file, batch by batch.

Values keep the file's types. A rejected row is written as one line of JSON, since a Parquet file
has no lines that could be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import RejectedInput
from pipeline.mapping.log_rows import ROW_COLUMN, BadRow, Row

_BATCH_ROWS = 10_000


class ParquetLog:
    """A Parquet file.

    Args:
        file: The open file.
        name: What to call it in messages.
        size: Its size in bytes.
    """

    reject_header: bytes | None = None

    def __init__(self, file: pq.ParquetFile, name: str, size: int) -> None:
        self._file = file
        self._name = name
        self._read = 0
        self.size: int | None = size
        self.columns: tuple[str, ...] | None = tuple(
            column for column in file.schema_arrow.names if column != ROW_COLUMN
        )
        twice = sorted({c for c in self.columns if self.columns.count(c) > 1})
        if twice:
            raise RejectedInput(f"{name}: column twice: {', '.join(twice)}")
        self.position: Callable[[], int] = self._position

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[ParquetLog]:
        """Open a file.

        Raises:
            RejectedInput: It cannot be opened or is not Parquet.
        """
        try:
            size = path.stat().st_size
            file = pq.ParquetFile(path)
        except OSError as error:
            raise RejectedInput(f"{path}: {error.strerror or 'cannot be read'}") from None
        except pa.ArrowException as error:
            raise RejectedInput(f"{path}: not a usable Parquet file: {error}") from None
        with file:
            yield cls(file, str(path), size)

    def lacks(self, names: Iterable[str]) -> list[str]:
        """Return which of the columns the schema does not have."""
        have = self._file.schema_arrow
        return [name for name in sorted(set(names)) if not _has(have, name)]

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield every row."""
        number = 0
        total = max(self._file.metadata.num_rows, 1)
        try:
            for batch in self._file.iter_batches(batch_size=_BATCH_ROWS):
                for values in _microseconds(batch).to_pylist():
                    number += 1
                    place = values.pop(ROW_COLUMN, None)
                    yield Row(number if place is None else int(place), 0, values)
                self._read = (self.size or 0) * number // total
        except (OSError, pa.ArrowException) as error:
            raise RejectedInput(
                f"{self._name}: cannot be read on after row {number}: {error}"
            ) from None

    def _position(self) -> int:
        return self._read


def _has(schema: Any, name: str) -> bool:
    if name in schema.names:
        return True
    parent, _, child = name.partition(".")
    if not child or parent not in schema.names:
        return False
    kind = schema.field(parent).type
    return pa.types.is_struct(kind) and _has(pa.schema(list(kind)), child)


def _microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Cut nanoseconds off, which Python's datetime does not hold."""
    columns = [
        column.cast(pa.timestamp("us", field.type.tz), safe=False)
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns"
        else column
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
