"""The events of an export, in the order of their cases, in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from pipeline.errors import RetryableError
from pipeline.warehouse.client import explained

#: What a case can be besides a case id such as order_id.
JOURNEY, CUSTOMER = "journey", "customer"

#: Rows of a range, about, where the answer comes in ranges.
SPAN_ROWS = 100_000

#: What an Arrow stream ends with; one that does not was cut off.
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_ALWAYS = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FOR_EVER = datetime(2100, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Selection:
    """What is exported.

    Attributes:
        case: ``JOURNEY``, ``CUSTOMER`` or the kind of a case id.
        since: Events that happened at or after this.
        until: Events that happened before this.
        segments: Those of customers of these segments; of all where empty.
        channels: Those on these channels; on all where empty.
    """

    case: str = JOURNEY
    since: datetime = _ALWAYS
    until: datetime = _FOR_EVER
    segments: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


class Span(NamedTuple):
    """Customers, or cases where a case id is the case, from ``first`` up to before ``end``."""

    first: str
    end: str


#: Everything; an empty end is open.
WHOLE = Span("", "")


def spans(client: Client, selection: Selection) -> tuple[int, list[Span]]:
    """Return how many records there are, about, and ranges of some ``SPAN_ROWS`` of them.

    For an engine that holds its whole answer in memory; a server gives ``WHOLE`` in blocks.

    Raises:
        RetryableError: ClickHouse does not answer for now.
        SchemaMismatch: The tables are not there.
    """
    asked = {"case": selection.case, "until": selection.until}
    with explained():
        rows, sample = client.query(_sql("spans"), parameters=asked).result_rows[0]
    places, parts = sorted(sample), min(-(-rows // SPAN_ROWS), len(sample))
    bounds = sorted({places[len(places) * number // parts] for number in range(1, parts)})
    return int(rows), [Span(*ends) for ends in pairwise(["", *bounds, ""])]


def batches(client: Client, selection: Selection, span: Span = WHOLE) -> Iterator[pa.RecordBatch]:
    """Yield the events in blocks, all of a case behind one another, in the order of time.

    Args:
        client: Client on a migrated database.
        selection: What is exported.
        span: A range of them; ranges in order give the same as the whole.

    Raises:
        FatalError: The user may not read this, or not so much of it.
        RetryableError: ClickHouse does not answer, or its answer was cut off.
        SchemaMismatch: The tables are not there.
    """
    by_customer = selection.case in (JOURNEY, CUSTOMER)
    customers, cases = (span, WHOLE) if by_customer else (WHOLE, span)
    asked: dict[str, Any] = {
        "case": selection.case,
        "since": selection.since,
        "until": selection.until,
        "segments": list(selection.segments),
        "channels": list(selection.channels),
        "first_customer": customers.first,
        "end_customer": customers.end,
        "first_case": cases.first,
        "end_case": cases.end,
    }
    with explained():
        answer = client.raw_stream(_sql("events"), parameters=asked, fmt="ArrowStream")
    with closing(_Watched(answer)) as stream:
        try:
            with pa.ipc.open_stream(stream) as reader:
                yield from reader
            cut = not stream.complete()
        except (pa.ArrowInvalid, OSError) as error:
            raise RetryableError("ClickHouse's answer cannot be read to its end") from error
    if cut:
        raise RetryableError("ClickHouse's answer was cut off")


class _Watched:
    """A stream that knows how it ended; what Arrow takes for the end may be a connection's."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._tail = b""

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, less only at the end."""
        pieces, wanted = [], size
        while wanted:
            piece = self._stream.read(wanted if size >= 0 else None)
            if not piece:
                break
            pieces.append(piece)
            wanted = wanted - len(piece) if size >= 0 else 0
        data = b"".join(pieces)
        self._tail = (self._tail + data[-len(_END) :])[-len(_END) :]
        return data

    def complete(self) -> bool:
        """Whether the stream ended as Arrow ends one, and nothing follows."""
        return not self.read(1) and self._tail == _END

    def close(self) -> None:
        """Close the stream below."""
        self._stream.close()
        self.closed = True


def _sql(name: str) -> str:
    return files("schemas").joinpath(f"sql/exports/{name}.sql").read_text(encoding="utf-8")
