"""Rows of a foreign log into interactions, by a map; what does not fit is told apart, row by row.

Each result is a valid interaction, with what else the row tells of, or the reason why there is
none: as many results as rows, and a row fits as a whole or not at all. What comes out is checked by
``pipeline.decode``, so a mapped row is accepted by every worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from pipeline.decode import Decoded
from pipeline.errors import CatalogError, RejectedRecord
from pipeline.mapping.besides import Besides, within
from pipeline.mapping.columns import colliding_columns, missing_columns, sources
from pipeline.mapping.fields import event_id_reader, fields_of, filled_in, namespace_of
from pipeline.mapping.log_rows import ROW_COLUMN, BadRow, Log, Row
from pipeline.mapping.map_file import LoadedMap
from pipeline.mapping.values import Misfit, json_value, slug
from schemas.interaction import SCHEMA_VERSION


@dataclass(frozen=True)
class Mapped:
    """A row that became an interaction.

    Attributes:
        row: The row.
        value: The interaction as JSON.
        decoded: The same, validated.
        also: Further interactions that the row tells of: as JSON, and validated.
    """

    row: Row
    value: bytes
    decoded: Decoded
    also: tuple[tuple[bytes, Decoded], ...] = ()

    @property
    def number(self) -> int:
        """The row's number: 1 for the first row of data."""
        return self.row.number


@dataclass(frozen=True)
class Unfit:
    """A row that did not.

    Attributes:
        number: The row's number: 1 for the first row of data.
        line: Line of the file it begins on; 0 where the format has none.
        reason: Reason code: of ``Misfit``, or of ``pipeline.decode.Reason``.
        field: Field of the envelope concerned; empty where it is the row as a whole.
        error: What is wrong, in words, without the row's values.
        raw: The row, as a reject file keeps it.
    """

    number: int
    line: int
    reason: str
    field: str
    error: str
    raw: bytes


class Mapper:
    """A map applied to a log.

    Args:
        loaded: The map.
        log: The open log.
        check: Validates an interaction, e.g. ``pipeline.producers.producer.checker``'s.

    Raises:
        CatalogError: The log lacks columns that the map names, or two columns would land on the
            same key of ``details``.
    """

    def __init__(self, loaded: LoadedMap, log: Log, check: Callable[[bytes], Decoded]) -> None:
        self._log = log
        self._check = check
        mapping = loaded.mapping
        problems = [*missing_columns(loaded, log), *colliding_columns(loaded, log)]
        if problems:
            raise CatalogError(sorted(problems, key=lambda problem: problem.line))
        self._fields = fields_of(mapping.event)
        self._event_id = event_id_reader(mapping.event.event_id, namespace_of(mapping.source))
        self._besides = Besides(mapping)
        self._details_named = frozenset(mapping.event.details)
        self._spoken_for = frozenset(name for _, item in sources(mapping) for name in item.named)
        self._keep_rest = mapping.unmapped == "details"

    def rows(self) -> Iterator[Mapped | Unfit]:
        """Yield one result for every row of the log.

        Raises:
            RejectedInput: The log cannot be read on.
        """
        for row in self._log.rows():
            if isinstance(row, BadRow):
                yield Unfit(row.number, row.line, row.reason, "", row.error, row.raw)
                continue
            try:
                yield self._mapped(row)
            except RejectedRecord as cause:
                yield Unfit(row.number, row.line, cause.reason, cause.field, cause.error, kept(row))

    def _mapped(self, row: Row) -> Mapped:
        event = self._interaction(row)
        value, decoded = self._checked(event)
        also = []
        found = self._besides.of(row, event["event_id"])
        for which, further in found:
            try:
                also.append(self._checked(further))
            except RejectedRecord as cause:
                raise within(which, cause) from None
        self._besides.keep(found)
        return Mapped(row, value, decoded, tuple(also))

    def _checked(self, event: dict[str, Any]) -> tuple[bytes, Decoded]:
        try:
            value = orjson.dumps(event)
        except TypeError:
            raise RejectedRecord(
                Misfit.NOT_A_VALUE.value,
                "holds half of a surrogate pair, a number over 64 bits, or is nested too deeply",
            ) from None
        return value, self._check(value)

    def _interaction(self, row: Row) -> dict[str, Any]:
        event: dict[str, Any] = {
            "event_id": self._event_id(row),
            "schema_version": SCHEMA_VERSION,
        }
        filled_in(event, self._fields, row.values)
        if self._keep_rest:
            self._add_rest(event, row)
        return event

    def _add_rest(self, event: dict[str, Any], row: Row) -> None:
        details = event.setdefault("details", {})
        for column, cell in row.values.items():
            if column in self._spoken_for:
                continue
            key = slug(column)[:64]
            try:
                value = json_value(self._without_named(column, cell))
            except RejectedRecord as cause:
                raise RejectedRecord(cause.reason, cause.error, f"details.{key}") from None
            if value is None:
                continue
            if not key or key in details or key in self._details_named:
                raise RejectedRecord(
                    Misfit.BAD_ROW.value, "two columns would be the same detail", f"details.{key}"
                )
            details[key] = value

    def _without_named(self, path: str, cell: Any) -> Any:
        """Return a cell without what the map names inside it, e.g. an identifier."""
        if not isinstance(cell, dict):
            return cell
        inner = {key: (f"{path}.{key}", item) for key, item in cell.items()}
        return {
            key: self._without_named(below, item)
            for key, (below, item) in inner.items()
            if below not in self._spoken_for
        }


def kept(row: Row) -> bytes:
    """Return a row as a reject file keeps it."""
    if row.raw:
        return row.raw
    values = {ROW_COLUMN: row.number, **row.values}
    return orjson.dumps(values, default=_any_text, option=orjson.OPT_NON_STR_KEYS)


def _any_text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
