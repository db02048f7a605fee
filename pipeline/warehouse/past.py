"""All of history, by customers: what is stored of them, and what was found.

For looking at everything again. Customers come in spans, ranges of their keys with about a block of
rows, so that memory holds one span at a time; together the spans hold every customer there can be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from clickhouse_connect.driver.client import Client

from pipeline.warehouse.client import explained
from pipeline.warehouse.history import Interaction, selected_columns
from pipeline.warehouse.ledger import Ledger, latest_moments, latest_promises
from pipeline.warehouse.ledger_rows import MomentRow, PromiseRow
from pipeline.warehouse.refresh import Journeys

_ALL = "FROM interaction_records"
_PARTITIONS = f"SELECT partition, max(occurred_at) {_ALL} GROUP BY partition"
_WATERMARKS = """
SELECT partition, max(watermark) FROM detection_progress FINAL GROUP BY partition
"""
_OF = "FROM {table:Identifier}"
_IN_SPAN = """
WHERE customer_key >= {first:String} AND ({end:String} = '' OR customer_key < {end:String})
"""


class Span(NamedTuple):
    """Customers with keys from ``first`` up to, not including, ``end``; an empty end is open."""

    first: str
    end: str


class Past(Ledger):
    """Reads everything there is; what ``Ledger`` raises and writes goes for it, too.

    Attributes:
        journeys: Must be told of moments that are written.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.journeys = Journeys(client)

    def spans(self) -> list[Span]:
        """Return spans of about a block of rows each, in order, without a gap."""
        return [Span(*bounds) for bounds in self._ranges(_ALL, {})] or [Span("", "")]

    def size(self) -> int:
        """Return the number of stored records, duplicates included."""
        with explained():
            return int(self._client.query(f"SELECT count() {_ALL}").result_rows[0][0])

    def latest(self) -> dict[int, datetime]:
        """Return when the latest event of each partition happened."""
        with explained():
            rows = self._client.query(_PARTITIONS).result_rows
        return {row[0]: row[1] for row in rows}

    def watermarks(self) -> dict[int, datetime]:
        """Return how far each partition that was detected is complete."""
        with explained():
            rows = self._client.query(_WATERMARKS).result_rows
        return {row[0]: row[1] for row in rows}

    def moments_in(self, span: Span) -> dict[UUID, MomentRow]:
        """Return the latest revision of every moment, withdrawn ones too."""
        return latest_moments(map(MomentRow._make, self._all(MomentRow, "moment_records", span)))

    def promises_in(self, span: Span) -> dict[UUID, PromiseRow]:
        """Return the latest revision of every promise, withdrawn ones too."""
        found = self._all(PromiseRow, "promise_records", span)
        return latest_promises(map(PromiseRow._make, found))

    def _all(
        self, kind: type[MomentRow | PromiseRow], table: str, span: Span
    ) -> Iterator[tuple[Any, ...]]:
        selected = f"SELECT {', '.join(kind._fields)} {_OF} {_IN_SPAN}"
        return zip(*self._columns(selected, {**span._asdict(), "table": table}), strict=True)

    def interactions_in(
        self, span: Span, touchpoints: Collection[str], columns: Sequence[str]
    ) -> list[Interaction]:
        """Return every event of some touchpoints once, in no order."""
        selected = (
            f"{selected_columns(columns)} {_ALL} {_IN_SPAN} "
            "AND touchpoint IN {touchpoints:Array(String)}"
        )
        asked = {**span._asdict(), "touchpoints": list(touchpoints)}
        return self._events(selected, asked, columns)

    def rows_in(self, span: Span) -> int:
        """Return the number of stored records, duplicates included."""
        counted = f"SELECT count() {_ALL} {_IN_SPAN}"
        with explained():
            found = self._client.query(counted, parameters=span._asdict()).result_rows
        return int(found[0][0])
