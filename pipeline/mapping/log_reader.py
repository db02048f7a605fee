"""Opening a foreign log: CSV or NDJSON, each also as .gz, or Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import RejectedInput
from pipeline.mapping.csv_log import CsvLog
from pipeline.mapping.log_rows import Log
from pipeline.mapping.ndjson_log import NdjsonLog
from pipeline.mapping.parquet_log import ParquetLog
from pipeline.producers.lines import STDIN, opened
from schemas.mapping import Mapping

_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}


@contextmanager
def open_log(path: Path, mapping: Mapping) -> Iterator[Log]:
    """Open a log.

    Args:
        path: The file, or ``-`` for standard input where the map names the format.
        mapping: Says how it is written; its event does not matter here.

    Raises:
        RejectedInput: It cannot be opened, or is not what it says.
    """
    kind = mapping.format or _format_of(path)
    if kind == "parquet":
        with ParquetLog.opened(path) as parquet:
            yield parquet
        return
    with opened(path) as source:
        if kind == "ndjson":
            yield NdjsonLog(source)
        else:
            is_tsv = Path(path.name.removesuffix(".gz")).suffix.lower() == ".tsv"
            yield CsvLog(source, mapping.delimiter or ("\t" if is_tsv else ","))


def _format_of(path: Path) -> str:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    found = _FORMATS.get(suffix)
    if found is None or (found == "parquet" and path.name.endswith(".gz")) or path == STDIN:
        raise RejectedInput(
            f"{path}: its name does not say what it is (fix: end it in .csv, .tsv, .ndjson, "
            ".jsonl, with or without .gz, or in .parquet; or say format in the map)"
        )
    return found
