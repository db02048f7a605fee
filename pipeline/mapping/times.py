"""Texts and numbers that mean an instant.

A local time is turned into an instant only where there is exactly one: a time that happens twice
when clocks are set back, or never when they are set forward, is refused unless the map says how to
read it. An hour's guess would reorder a customer's journey without anybody noticing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.errors import RejectedRecord
from pipeline.mapping.values import Misfit, decimal_of, text_of
from schemas.mapping import Time

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?(Z|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII | re.IGNORECASE,
)


def instant_reader(time: Time) -> Callable[[Any], datetime | None]:
    """Return what turns a column's value into an instant.

    The result takes a text, a number, a date or a datetime; it returns None for an empty value and
    raises RejectedRecord for one that is no instant.

    Args:
        time: What the map says of it.
    """
    zone = ZoneInfo(time.zone) if time.zone is not None else None

    def read(value: Any) -> datetime | None:
        if time.unit is not None:
            return _since_epoch(decimal_of(value), time.unit)
        if isinstance(value, datetime):
            found = value
        elif isinstance(value, date):
            found = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - placed below
        else:
            text = text_of(value)
            if text is None:
                return None
            found = _formatted(text, time.formats) if time.formats else parse_iso(text)
        return _storable(found if found.tzinfo is not None else placed(found, zone, time))

    return read


def parse_iso(text: str) -> datetime:
    """Return an ISO 8601 date and time, with its offset if it has one.

    A date alone is its midnight; digits beyond the microsecond are cut off.

    Raises:
        RejectedRecord: It is no such text.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise _refused("not an ISO 8601 time, e.g. 2026-03-01T12:00:00+01:00 (see formats, unit)")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    microsecond = int((fraction or "0").ljust(6, "0")[:6])
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            microsecond,
            _offset(offset) if offset else None,
        )
    except ValueError:
        raise _refused("no such date or time of day") from None


def placed(local: datetime, zone: ZoneInfo | None, time: Time) -> datetime:
    """Return the instant of a local time.

    Args:
        local: A datetime without an offset.
        zone: Where it was; None where the map does not say.
        time: How to read times that happen twice or never.

    Raises:
        RejectedRecord: There is no zone, or no single instant.
    """
    if zone is None:
        raise _refused("a time without an offset: say its zone")
    first, second = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    instant = first.astimezone(timezone.utc).astimezone(zone)
    if instant.replace(tzinfo=None) == local:
        if time.ambiguous == "refuse":
            raise RejectedRecord(
                Misfit.AMBIGUOUS_TIME.value,
                "happened twice when clocks were set back: say ambiguous = earlier or later",
            )
        return first if time.ambiguous == "earlier" else second
    if time.nonexistent == "refuse":
        raise RejectedRecord(
            Misfit.NONEXISTENT_TIME.value,
            "never happened, clocks were set forward over it: check the zone, or say "
            "nonexistent = shift",
        )
    return instant


def _formatted(text: str, formats: list[str]) -> datetime:
    for candidate in formats:
        try:
            return datetime.strptime(text, candidate)  # noqa: DTZ007 - placed by the caller
        except ValueError:
            continue
    raise _refused("fits none of the formats")


def _since_epoch(number: Decimal | None, unit: str) -> datetime | None:
    if number is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(number * _MICROSECONDS[unit]))
    except OverflowError:
        raise _refused("out of range: check the unit") from None


def _storable(instant: datetime) -> datetime:
    """Return an instant with a fixed offset of whole minutes, as the contract's notation needs.

    Of a zone's own, Python calls those that clocks show twice unequal to every other instant.
    """
    try:
        offset = instant.utcoffset()
        if offset is None or offset % timedelta(minutes=1):
            return instant.astimezone(timezone.utc)
    except OverflowError:
        raise _refused("out of range") from None
    return instant.replace(tzinfo=timezone(offset), fold=0)


@lru_cache(maxsize=256)
def _offset(text: str) -> tzinfo:
    if text in "Zz":
        return timezone.utc
    digits = text[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if minutes > 59:
        raise ValueError("minutes")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def _refused(error: str) -> RejectedRecord:
    return RejectedRecord(Misfit.INVALID_TIME.value, error)
