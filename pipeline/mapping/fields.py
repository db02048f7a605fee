"""A map compiled: for each field of the envelope the function that reads it out of a row."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import orjson

from pipeline.errors import RejectedRecord
from pipeline.mapping.log_rows import ABSENT, Row, value_at
from pipeline.mapping.times import instant_reader
from pipeline.mapping.values import (
    Misfit,
    decimal_of,
    detail_reader,
    json_number,
    slug,
    text_of,
    text_reader,
)
from schemas.mapping import EventId, EventMap, FromColumns, Number, Time, Value

#: Namespace of the event ids that are made from rows; changing it would duplicate every such log.
EVENT_IDS = UUID("ede8ca9a-4192-48b8-8806-be5986debdae")

Cells = Any
Reader = Callable[[Cells], Any]
#: A field of the envelope, what reads it, and whether a row must have it.
Field = tuple[tuple[str, ...], Reader, bool]


def fields_of(event: EventMap) -> list[Field]:
    """Return every field but the event id, in the order of the envelope."""
    fields: list[Field] = [
        (("channel",), _text(event.channel), True),
        (("action",), _text(event.action), True),
        (("occurred_at",), _instant(event.occurred_at), True),
    ]
    for name in ("sent_at", "promise_due_at"):
        time: Time | None = getattr(event, name)
        if time is not None:
            fields.append(((name,), _instant(time), False))
    for name in ("segment", "need", "language", "currency", "direction"):
        text: Value | None = getattr(event, name)
        if text is not None:
            fields.append(((name,), _text(text), False))
    for group in ("identifiers", "case_ids"):
        for key, item in getattr(event, group).items():
            fields.append(((group, key), _text(item), False))
    if event.rating is not None:
        fields.append((("rating", "scale"), _text(event.rating.scale), False))
        fields.append((("rating", "score"), _number(event.rating.score, json_number), False))
    if event.sentiment is not None:
        fields.append((("sentiment",), _number(event.sentiment, json_number), False))
    if event.amount is not None:
        fields.append((("amount",), _number(event.amount, lambda n: format(n, "f")), False))
    for key, detail in event.details.items():
        read, convert = cell_reader(detail), detail_reader(detail)
        fields.append((("details", key), _chained(read, convert), False))
    return fields


def namespace_of(source: str, name: str = "") -> UUID:
    """Return the namespace of the ids that are made for a log, or for a further interaction."""
    namespace = uuid5(EVENT_IDS, source)
    return uuid5(namespace, name) if name else namespace


def filled_in(event: dict[str, Any], fields: list[Field], values: Cells) -> None:
    """Read the fields of a row into an interaction.

    Args:
        event: What there is of it.
        fields: What reads them.
        values: The cells of the row.

    Raises:
        RejectedRecord: A cell cannot be used, or the row lacks what it must have.
    """
    for path, read, required in fields:
        try:
            value = read(values)
        except RejectedRecord as cause:
            raise RejectedRecord(cause.reason, cause.error, ".".join(path)) from None
        if value is None:
            if required:
                raise RejectedRecord(Misfit.MISSING_VALUE.value, "the row has none", ".".join(path))
        elif len(path) == 1:
            event[path[0]] = value
        else:
            event.setdefault(path[0], {})[path[1]] = value
    _drop_halves(event)


def _drop_halves(event: dict[str, Any]) -> None:
    """Drop the scale of a rating without a score, and the currency of no amount."""
    if "score" not in event.get("rating", {"score": 0}):
        del event["rating"]
    if "amount" not in event:
        event.pop("currency", None)


def event_id_reader(item: EventId, namespace: UUID) -> Callable[[Row], str]:
    """Return what gives a row its event id; it raises RejectedRecord where the row has none."""
    if item.uuid_of_row:
        return lambda row: str(uuid5(namespace, str(row.number)))
    if item.uuid_of is not None:
        return _hashed_id(item, namespace)
    read = cell_reader(item)

    def event_id(row: Row) -> str:
        try:
            found = text_of(read(row.values))
        except RejectedRecord as cause:
            raise RejectedRecord(cause.reason, cause.error, "event_id") from None
        if found is None:
            raise RejectedRecord(Misfit.MISSING_VALUE.value, "the row has none", "event_id")
        return found

    return event_id


def _hashed_id(item: EventId, namespace: UUID) -> Callable[[Row], str]:
    names = item.named

    def event_id(row: Row) -> str:
        try:
            parts = [text_of(_present(row.values, name)) for name in names]
        except RejectedRecord as cause:
            raise RejectedRecord(cause.reason, cause.error, "event_id") from None
        if not any(parts):
            raise RejectedRecord(
                Misfit.MISSING_VALUE.value, "all columns that make it are empty", "event_id"
            )
        try:
            return str(uuid5(namespace, orjson.dumps(parts).decode()))
        except TypeError:
            raise RejectedRecord(Misfit.BAD_ENCODING.value, "not a text", "event_id") from None

    return event_id


def _text(item: Value) -> Reader:
    constant = item.constant
    if constant is not None:
        fixed = slug(constant) if item.slug else constant
        return lambda values: fixed
    return _chained(cell_reader(item), text_reader(item))


def _instant(item: Time) -> Reader:
    read, convert = cell_reader(item), instant_reader(item)

    def instant(values: Cells) -> str | None:
        found = convert(read(values))
        return None if found is None else found.isoformat()

    return instant


def _number(item: Number, write: Callable[[Decimal], Any]) -> Reader:
    constant = item.constant
    if constant is not None:
        fixed = write(Decimal(repr(constant)))
        return lambda values: fixed
    read, mark = cell_reader(item), item.decimal

    def number(values: Cells) -> Any:
        found = decimal_of(read(values), mark)
        return None if found is None else write(found)

    return number


def cell_reader(item: FromColumns) -> Reader:
    """Return what takes an item's cell out of a row, or joins its cells."""
    constant = getattr(item, "constant", None)
    if constant is not None:
        return lambda values: constant
    if item.column is not None:
        column = item.column
        return lambda values: _present(values, column)
    names, separator = item.named, item.separator or ""

    def joined(values: Cells) -> str | None:
        parts = [text_of(_present(values, name)) for name in names]
        return separator.join(part or "" for part in parts) if any(parts) else None

    return joined


def _present(values: Cells, name: str) -> Any:
    found = value_at(values, name)
    return None if found is ABSENT else found


def _chained(read: Reader, convert: Callable[[Any], Any]) -> Reader:
    return lambda values: convert(read(values))
