"""One row an event: CSV and Parquet with the column names that pm4py expects."""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.export.columns import NAMES, NUMBERS, TRANSITION

_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"
_SCHEMA = pa.schema(
    [
        (
            name,
            pa.timestamp("us", "UTC")
            if column == "occurred_at"
            else pa.int64()
            if column in NUMBERS
            else pa.string(),
        )
        for column, name in NAMES.items()
    ]
    + [("lifecycle:transition", pa.string())]
)


def flat(batch: pa.RecordBatch) -> pa.Table:
    """Return a block under the names and in the types of a log; what was not delivered is null."""
    columns = []
    for column, name in NAMES.items():
        values = batch.column(column).cast(_SCHEMA.field(name).type)
        if pa.types.is_string(values.type):
            values = pa.compute.if_else(pa.compute.equal(values, ""), None, values)
        columns.append(values)
    columns.append(pa.array([TRANSITION] * batch.num_rows))
    return pa.table(columns, schema=_SCHEMA)


class CsvLog:
    """Writes CSV in UTF-8, column names first, times in ISO 8601.

    Args:
        file: Where to.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __enter__(self) -> CsvLog:
        """Write the column names."""
        self._put(_SCHEMA.empty_table(), header=True)
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a block."""
        self._put(flat(batch), header=False)

    def _put(self, table: pa.Table, *, header: bool) -> None:
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table never is a series
        text = frame.write_csv(include_header=header, datetime_format=_TIME)
        self._file.write(text.encode())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is left to write."""


class ParquetLog:
    """Writes Parquet, a row group a block.

    Args:
        file: Where to.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __enter__(self) -> ParquetLog:
        """Begin the file."""
        self._writer = pq.ParquetWriter(self._file, _SCHEMA, compression="zstd")
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a block."""
        self._writer.write_table(flat(batch))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the footer."""
        self._writer.close()
