"""Bytes to a valid interaction, or to the reason why not.

Strict JSON comes first: orjson refuses what pydantic's parser would let through into unknown fields
(NaN, infinities, lone surrogates, numbers beyond a double), then duplicate keys, depth and size are
refused here, then the contract in ``schemas.interaction`` decides: ``pipeline.structs`` says yes to
most of what is valid, faster, and the models decide on the rest. One bad record never touches its
neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import Any

import orjson
from msgspec import Struct
from pydantic import ValidationError

from pipeline.accepted import Accepted
from pipeline.errors import RejectedRecord
from pipeline.structs import fast
from schemas.interaction import MODELS, TYPED_CHANNELS, Envelope, OtherInteraction

#: Deepest nesting of objects and arrays that is accepted.
MAX_DEPTH = 32
_BRACKET = ord("[")
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


class Decoded(Struct, frozen=True, gc=False):  # gc: parsed JSON has no cycles
    """A valid record.

    Attributes:
        interaction: The validated model, or a struct of ``pipeline.structs`` with the same values.
        event: The same as plain JSON values, what classification rules look at.
    """

    interaction: Accepted
    event: dict[str, Any]


_VALIDATORS: dict[str, Callable[[bytes], Envelope]] = {
    channel: model.__pydantic_validator__.validate_json for channel, model in MODELS.items()
}
_VALIDATE_OTHER: Callable[[bytes], Envelope] = OtherInteraction.__pydantic_validator__.validate_json


def decode(value: bytes | None, channels: frozenset[str], max_bytes: int) -> Decoded:
    """Parse and validate one record.

    Args:
        value: The record's value as it came from Kafka.
        channels: Channels that the catalog declares; the typed four are always known.
        max_bytes: Largest value that is accepted.

    Raises:
        RejectedRecord: The record can never be used; says why and names the field.
    """
    if not value:
        raise RejectedRecord(Reason.EMPTY.value, "the record has no value")
    event = _strict_json(value, max_bytes)
    channel = event.get("channel")
    if isinstance(channel, str) and channel not in channels and channel not in MODELS:
        raise RejectedRecord(
            Reason.UNKNOWN_CHANNEL.value, "the catalog declares no such channel", "channel"
        )
    interaction: Accepted | None = fast(value, event)
    if interaction is None:
        interaction = _validated(value, event)
    return Decoded(interaction, event)


def known_channels(declared: frozenset[str]) -> frozenset[str]:
    """Return the declared channels and the typed ones."""
    return declared | frozenset(TYPED_CHANNELS)


def _validated(value: bytes, event: dict[str, Any]) -> Accepted:
    channel = event.get("channel")
    validate = _VALIDATORS.get(channel) if isinstance(channel, str) else None
    try:
        return (validate or _VALIDATE_OTHER)(value)
    except ValidationError as error:
        raise _rejected(error, event) from None


def _strict_json(value: bytes, max_bytes: int) -> dict[str, Any]:
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
    opened = value.count(b"{") + (value.count(b"[") if _BRACKET in value else 0)
    if opened > MAX_DEPTH and _depth(event) > MAX_DEPTH:
        raise RejectedRecord(Reason.TOO_DEEP.value, f"nested over {MAX_DEPTH} deep")
    # written back unchanged, it cannot have had duplicate keys
    if orjson.dumps(event) != value and not _counted(value, event):
        _UNIQUE_KEYS.decode(value.decode())
    return event


def _counted(value: bytes, event: dict[str, Any]) -> bool:
    """Return whether there are as many keys as colons after a quote, so none is there twice.

    That is at least as many as keys were written where no space stands before a colon, and more
    where a text has one or an object is deeper; then somebody else has to look.
    """
    if b" :" in value or b"\t" in value or b"\n" in value or b"\r" in value:
        return False
    inner = sum(len(item) for item in event.values() if type(item) is dict)
    return value.count(b'":') == len(event) + inner


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
