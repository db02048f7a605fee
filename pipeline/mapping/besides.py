"""What else a row tells of: further interactions, once for a case or once for every row."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid5

from pipeline.errors import RejectedRecord
from pipeline.mapping.fields import (
    Field,
    Reader,
    cell_reader,
    event_id_reader,
    fields_of,
    filled_in,
    namespace_of,
)
from pipeline.mapping.log_rows import Row
from pipeline.mapping.values import text_of
from schemas.interaction import SCHEMA_VERSION
from schemas.mapping import Also, EventId, EventMap, Mapping

#: Interactions told of once that are remembered. One forgotten is sent again and counts once.
REMEMBERED = 100_000


@dataclass(frozen=True)
class _Beside:
    """One section ``also`` of a map, compiled."""

    id: str
    event_id: Callable[[Row, str], str]
    cell: Reader
    fields: list[Field]


class Besides:
    """The sections ``also`` of a map.

    Args:
        mapping: The map.
    """

    def __init__(self, mapping: Mapping) -> None:
        self._all = [_compiled(mapping, also) for also in mapping.also]
        self._once = {also.id for also in mapping.also if also.once_per is not None}
        self._told: OrderedDict[str, None] = OrderedDict()

    def of(self, row: Row, event_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Return what else a row tells of and no row before it did: its id and the interaction.

        Args:
            row: The row.
            event_id: Event id of its own interaction.

        Raises:
            RejectedRecord: It does not fit.
        """
        found = []
        for beside in self._all:
            try:
                event = self._interaction(beside, row, event_id)
            except RejectedRecord as cause:
                raise within(beside.id, cause) from None
            if event is not None:
                found.append((beside.id, event))
        return found

    def keep(self, found: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Remember what ``of`` returned for a row that fits."""
        for which, event in found:
            if which in self._once:
                self._told[event["event_id"]] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    def _interaction(self, beside: _Beside, row: Row, event_id: str) -> dict[str, Any] | None:
        try:
            happened = text_of(beside.cell(row.values)) is not None
        except RejectedRecord as cause:
            raise RejectedRecord(cause.reason, cause.error, "occurred_at") from None
        if not happened:
            return None
        own_id = beside.event_id(row, event_id)
        if own_id in self._told:
            self._told.move_to_end(own_id)
            return None
        event: dict[str, Any] = {"event_id": own_id, "schema_version": SCHEMA_VERSION}
        filled_in(event, beside.fields, row.values)
        return event


def within(also: str, cause: RejectedRecord) -> RejectedRecord:
    """Return why a row does not fit, of one of its further interactions."""
    field = ".".join(filter(None, ("also", also, cause.field)))
    return RejectedRecord(cause.reason, cause.error, field)


def _compiled(mapping: Mapping, also: Also) -> _Beside:
    event = _whole(also, mapping.event)
    namespace = namespace_of(mapping.source, also.id)
    named = event_id_reader(event.event_id, namespace) if also.once_per is not None else None

    def event_id(row: Row, of_row: str) -> str:
        return str(uuid5(namespace, of_row)) if named is None else named(row)

    return _Beside(also.id, event_id, cell_reader(also.occurred_at), fields_of(event))


def _whole(also: Also, event: EventMap) -> EventMap:
    """Return a section with what it leaves to ``event``."""
    given = {name: getattr(also, name) for name in EventMap.model_fields if name != "event_id"}
    for name in ("channel", "identifiers", "case_ids", "segment", "language"):
        if given[name] is None:
            given[name] = getattr(event, name)
    event_id = event.event_id if also.once_per is None else EventId(uuid_of=also.once_per)
    return EventMap(event_id=event_id, **given)
