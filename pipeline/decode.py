"""Bytes to a valid interaction, or to the reason why not.

Strict JSON comes first: orjson refuses what pydantic's parser would let through into unknown fields
(NaN, infinities, lone surrogates, numbers beyond a double), then duplicate keys, depth and size are
refused here, then the contract in ``schemas.interaction`` decides. One bad record never touches
its neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from pipeline.errors import RejectedRecord
from schemas.interaction import MODELS, TYPED_CHANNELS, Envelope, OtherInteraction

#: Deepest nesting of objects and arrays that is accepted.
MAX_DEPTH = 32
#: Longest error text that travels with a rejected record.
MAX_ERROR = 500


class Reason(str, Enum):
    """Why a record was rejected; the values are stable and appear in tables and metrics."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    INVALID_JSON = "invalid_json"
    DUPLICATE_KEY = "duplicate_key"
    TOO_DEEP = "too_deep"
    NOT_AN_OBJECT = "not_an_object"
    UNSUPPORTED_VERSION = "unsupported_version"
    UNKNOWN_CHANNEL = "unknown_channel"
    INVALID_FIELD = "invalid_field"
    MISSING_FIELD = "missing_field"
    UNSTORABLE = "unstorable"


class Decoded(NamedTuple):
    """A valid record.

    Attributes:
        interaction: The validated model.
        event: The same as plain JSON values, what classification rules look at.
    """

    interaction: Envelope
    event: dict[str, Any]


_VALIDATORS: dict[str, Callable[[bytes], Any]] = {
    channel: model.__pydantic_validator__.validate_json for channel, model in MODELS.items()
}
_VALIDATE_OTHER = OtherInteraction.__pydantic_validator__.validate_json


def decode(value: bytes | None, channels: frozenset[str], max_bytes: int) -> Decoded:
    """Parse and validate one record.

    Args:
        value: The record's value as it came from Kafka.
        channels: Channels that the catalog declares; the typed four are always known.
        max_bytes: Largest value that is accepted.

    Raises:
        RejectedRecord: The record can never be used; says why and names the field.
    """
    event = _strict_json(value, max_bytes)
    channel = event.get("channel")
    validate = _VALIDATORS.get(channel) if isinstance(channel, str) else None
    if validate is None:
        if isinstance(channel, str) and channel not in channels:
            raise RejectedRecord(
                Reason.UNKNOWN_CHANNEL.value, "the catalog declares no such channel", "channel"
            )
        validate = _VALIDATE_OTHER
    try:
        interaction = validate(value)  # type: ignore[arg-type]  # _strict_json refused None
    except ValidationError as error:
        raise _rejected(error, event) from None
    return Decoded(interaction, event)


def known_channels(declared: frozenset[str]) -> frozenset[str]:
    """Return the declared channels and the typed ones."""
    return declared | frozenset(TYPED_CHANNELS)


def _strict_json(value: bytes | None, max_bytes: int) -> dict[str, Any]:
    if not value:
        raise RejectedRecord(Reason.EMPTY.value, "the record has no value")
    if len(value) > max_bytes:
        raise RejectedRecord(
            Reason.TOO_LARGE.value, f"{len(value)} bytes, at most {max_bytes} are accepted"
        )
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if "depth limit" in error.msg or "recursion" in error.msg:
            raise RejectedRecord(Reason.TOO_DEEP.value, f"nested over {MAX_DEPTH} deep") from None
        raise RejectedRecord(
            Reason.INVALID_JSON.value, f"{error.msg}: line {error.lineno} column {error.colno}"
        ) from None
    if not isinstance(event, dict):
        raise RejectedRecord(Reason.NOT_AN_OBJECT.value, "the record is not a JSON object")
    if value.count(b"{") + value.count(b"[") > MAX_DEPTH and _depth(event) > MAX_DEPTH:
        raise RejectedRecord(Reason.TOO_DEEP.value, f"nested over {MAX_DEPTH} deep")
    if orjson.dumps(event) != value:  # written back unchanged, it cannot have had duplicate keys
        _UNIQUE_KEYS.decode(value.decode())
    return event


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RejectedRecord(Reason.DUPLICATE_KEY.value, "an object has the same key twice")
    return found


_UNIQUE_KEYS = json.JSONDecoder(object_pairs_hook=_unique)


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        if deepest > MAX_DEPTH:
            break
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
    return deepest


def _rejected(error: ValidationError, event: dict[str, Any]) -> RejectedRecord:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])[:128]
    version = event.get("schema_version")
    if field == "schema_version" and isinstance(version, str):
        reason = Reason.UNSUPPORTED_VERSION
    elif first["type"] == "missing":
        reason = Reason.MISSING_FIELD
    elif first["type"] == "json_invalid":
        reason = Reason.INVALID_JSON
    else:
        reason = Reason.INVALID_FIELD
    more = error.error_count() - 1
    text = first["msg"] + (f" (and {more} more)" if more else "")
    return RejectedRecord(reason.value, text[:MAX_ERROR], field)
