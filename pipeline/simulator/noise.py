"""What goes wrong between a channel and Kafka: malformed values, duplicates, delays.

Every kind of malformed value is one the pipeline must reject: not JSON, not strict JSON, against
the contract, or on a channel that the catalog does not declare. None has the id of a valid event.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from pipeline.simulator.dice import Dice
from pipeline.simulator.hours import DAY, HOUR, MINUTE, SECOND
from pipeline.simulator.trip import Fields

_Maker = Callable[[Fields, Dice], bytes]
_DEPTH = 2_000
_DIGITS = 4_000


def usual_delay(dice: Dice) -> int:
    """Return the milliseconds from happening to arriving; under a second, so in order."""
    return 15 + dice.below(600)


def late_delay(dice: Dice) -> int:
    """Return the delay of a late event, shorter ones more often."""
    share = dice.random()
    return HOUR + int(share * share * (3 * DAY - HOUR))


def disorder_delay(dice: Dice) -> int:
    """Return a delay that lets later events overtake."""
    return 30 * SECOND + dice.below(5 * MINUTE - 30 * SECOND)


def duplicate_delay(dice: Dice) -> int:
    """Return how long after the first copy a second one arrives."""
    share = dice.random()
    return SECOND + int(share * share * share * 6 * HOUR)


def malform(event: Fields, dice: Dice) -> tuple[str, bytes]:
    """Return a kind of malformation and a malformed value of it.

    Args:
        event: A valid event that exists nowhere else; it is not changed.
        dice: Chance.
    """
    kind = dice.pick(KINDS)
    return kind, _MAKERS[kind](event, dice)


def _with(**fields: object) -> _Maker:
    return lambda event, dice: orjson.dumps({**event, **fields})


def _without(name: str) -> _Maker:
    return lambda event, dice: orjson.dumps({k: v for k, v in event.items() if k != name})


def _value(value: bytes) -> _Maker:
    return lambda event, dice: value


def _replaced(name: str, text: bytes) -> _Maker:
    """Put a text that is no JSON value, or one no encoder writes, where a field's value stands."""

    def make(event: Fields, dice: Dice) -> bytes:
        return orjson.dumps({**event, name: "\x01"}).replace(b'"\\u0001"', text)

    return make


def _truncated(event: Fields, dice: Dice) -> bytes:
    value = orjson.dumps(event)
    return value[: dice.between(1, len(value) - 1)]


def _second_copy(event: Fields, dice: Dice) -> bytes:
    value = orjson.dumps(event)
    return value + value


def _duplicate_key(event: Fields, dice: Dice) -> bytes:
    return b'{"action":"page_view",' + orjson.dumps(event)[1:]


def _byte_order_mark(event: Fields, dice: Dice) -> bytes:
    return b"\xef\xbb\xbf" + orjson.dumps(event)


def _python_not_json(event: Fields, dice: Dice) -> bytes:
    return repr(event).encode()


_MAKERS: dict[str, _Maker] = {
    # no JSON
    "empty": _value(b""),
    "blank": _value(b"  "),
    "not_json": _value(b"channel=web&action=page_view"),
    "python_not_json": _python_not_json,
    "truncated": _truncated,
    "two_values": _second_copy,
    "byte_order_mark": _byte_order_mark,
    "invalid_utf8": _replaced("event_id", b'"caf\xe9\xff"'),
    "control_character": _replaced("event_id", b'"a\x02b"'),
    # JSON that strict readers refuse
    "not_a_number": _replaced("sentiment", b"NaN"),
    "infinity": _replaced("amount", b"-Infinity"),
    "lone_surrogate": _replaced("event_id", b'"\\ud800"'),
    "duplicate_key": _duplicate_key,
    "deep_nesting": _replaced("details", b'{"a":' + b"[" * _DEPTH + b"]" * _DEPTH + b"}"),
    "huge_number": _replaced("amount", b"9" * _DIGITS),
    # not the contract
    "not_an_object": _value(b'["page_view"]'),
    "null": _value(b"null"),
    "number": _value(b"42"),
    "missing_event_id": _without("event_id"),
    "missing_occurred_at": _without("occurred_at"),
    "no_identifiers": _with(identifiers={}),
    "identifiers_not_an_object": _with(identifiers="C-0000001"),
    "number_for_text": _with(action=7),
    "details_not_an_object": _with(details=["page_view"]),
    "naive_time": _with(occurred_at="2026-09-02T10:15:30.250"),
    "no_such_time": _with(occurred_at="2026-02-30T25:61:00Z"),
    "year_9999": _with(occurred_at="9999-12-31T23:59:59Z"),
    "year_0": _with(occurred_at="0000-01-01T00:00:00Z"),
    "long_event_id": _with(event_id="x" * 300),
    "nul_in_event_id": _with(event_id="a\x00b"),
    "later_major_version": _with(schema_version="2.0"),
    "score_off_scale": _with(rating={"scale": "nps", "score": 11}),
    "amount_without_currency": _with(amount=12.5, currency=None),
    "unknown_direction": _with(direction="sideways"),
    # not the catalog
    "unknown_channel": _with(channel="fax", details={}),
}
KINDS = tuple(_MAKERS)
