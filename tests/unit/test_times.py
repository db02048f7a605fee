from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import RejectedRecord
from pipeline.mapping.times import instant_reader, parse_iso
from pipeline.mapping.values import Misfit
from schemas.mapping import Time
from tests.unit.logs import reason_of

ZONES = ["Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
AMSTERDAM = "Europe/Amsterdam"
# wall clocks, without a zone on purpose
FIRST, LAST = datetime(1971, 1, 1), datetime(2099, 12, 31)  # noqa: DTZ001
EARLIEST, LATEST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001
JUMP = datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001


def read_time(value: Any, **options: Any) -> datetime | None:
    return instant_reader(Time(column="t", **options))(value)


@given(
    st.datetimes(FIRST, LAST, timezones=st.just(timezone.utc)),
    st.sampled_from(ZONES),
    st.sampled_from([" ", "T"]),
)
@example(datetime(2026, 10, 25, 0, 30, tzinfo=timezone.utc), AMSTERDAM, " ")
@example(datetime(2026, 10, 25, 1, 30, tzinfo=timezone.utc), AMSTERDAM, " ")
def test_a_local_time_is_its_instant_or_refused(instant: datetime, zone: str, by: str) -> None:
    local = instant.astimezone(ZoneInfo(zone))
    text = local.replace(tzinfo=None).isoformat(by)
    choice = "later" if local.fold else "earlier"
    assert read_time(text, zone=zone, ambiguous=choice) == instant
    try:
        strict = read_time(text, zone=zone)
    except RejectedRecord as refused:
        assert refused.reason == Misfit.AMBIGUOUS_TIME.value
        other = read_time(text, zone=zone, ambiguous="earlier" if local.fold else "later")
        assert other is not None
        assert other != instant
    else:
        assert strict == instant


@given(st.datetimes(FIRST, LAST), st.sampled_from(ZONES), st.data())
@example(JUMP, AMSTERDAM, None)
def test_a_wall_time_is_shifted_only_where_clocks_jump(
    wall: datetime, zone: str, data: Any
) -> None:
    found = read_time(wall, zone=zone, ambiguous="earlier", nonexistent="shift")
    assert found is not None
    shown = found.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if shown == wall:
        assert read_time(wall, zone=zone, ambiguous="earlier") == found
    else:
        assert timedelta(0) < shown - wall <= timedelta(hours=1)
        assert reason_of(read_time, wall, zone=zone) == Misfit.NONEXISTENT_TIME.value


def test_clocks_set_forward_and_back() -> None:
    utc = timezone.utc
    assert reason_of(read_time, "2026-03-29 02:30", zone=AMSTERDAM) == "nonexistent_time"
    shifted = read_time("2026-03-29 02:30", zone=AMSTERDAM, nonexistent="shift")
    assert shifted is not None
    assert shifted.isoformat() == "2026-03-29T03:30:00+02:00"
    assert reason_of(read_time, "2026-10-25 02:30", zone=AMSTERDAM) == "ambiguous_time"
    earlier = read_time("2026-10-25 02:30", zone=AMSTERDAM, ambiguous="earlier")
    later = read_time("2026-10-25 02:30", zone=AMSTERDAM, ambiguous="later")
    assert earlier == datetime(2026, 10, 25, 0, 30, tzinfo=utc)
    assert later == datetime(2026, 10, 25, 1, 30, tzinfo=utc)
    # an offset says which of the two it was, whatever the zone
    assert read_time("2026-10-25 02:30+01:00", zone=AMSTERDAM) == later


@given(
    st.datetimes(
        EARLIEST,
        LATEST,
        timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
    ),
    st.sampled_from([" ", "T", "t"]),
)
def test_iso_times_are_read_back(instant: datetime, by: str) -> None:
    assert parse_iso(instant.isoformat().replace("T", by)) == instant


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-03-01T12:00:00Z", 0),
        ("2026-03-01 12:00:00.5 +01:00", -3599.5),
        ("2026-03-01T12:00:00,25-0130", 5400.25),
        ("2026-03-01T12:00+02", -7200),
        ("2026-03-01T12:00:00.1234567Z", 0.123456),
    ],
)
def test_notations_of_iso(text: str, seconds: float) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    assert parse_iso(text) == noon + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["1700000000", "2026-02-30", "2026-03-01T24:00:00", "2026-03-01T12:00:60", "20260301", "x",
     "2026-03-01T12:00:00+25:00", "2026-03-01T12:00:00+01:75", "٢٠٢٦-03-01"],
)  # fmt: skip
def test_what_is_no_iso_time(text: str) -> None:
    assert reason_of(parse_iso, text) == Misfit.INVALID_TIME.value


@given(st.text() | st.floats() | st.integers() | st.booleans() | st.decimals() | st.binary())
def test_no_value_breaks_the_reading_of_times(value: Any) -> None:
    for options in ({}, {"unit": "ms"}, {"formats": ["%d.%m.%Y"], "zone": AMSTERDAM}):
        try:
            found = read_time(value, **options)
        except RejectedRecord as refused:
            assert not isinstance(value, str) or len(value) < 8 or value not in refused.error
        else:
            assert found is None or found.utcoffset() is not None


@given(st.integers(0, 4_102_444_799_999_999), st.sampled_from([("s", 6), ("ms", 3), ("us", 0)]))
def test_numbers_since_1970_keep_every_digit(microseconds: int, unit: tuple[str, int]) -> None:
    number = Decimal(microseconds).scaleb(-unit[1])
    for value in (str(number), number):
        found = read_time(value, unit=unit[0])
        assert found is not None
        elapsed = found - datetime(1970, 1, 1, tzinfo=timezone.utc)
        assert elapsed == timedelta(microseconds=microseconds)


def test_formats_are_tried_in_order() -> None:
    formats = ["%d-%m-%Y %H:%M", "%d %b %Y %z"]
    at = read_time(" 01-03-2026 12:00 ", formats=formats, zone=AMSTERDAM)
    assert at == datetime(2026, 3, 1, 11, tzinfo=timezone.utc)
    assert read_time("01 Mar 2026 +0200", formats=formats) == datetime(
        2026, 2, 28, 22, tzinfo=timezone.utc
    )
    assert reason_of(read_time, "2026-03-01", formats=formats) == "invalid_time"
    assert reason_of(read_time, "01-03-2026 12:00", formats=formats) == "invalid_time"  # no zone


def test_native_times_of_parquet() -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    assert read_time(at) == at
    assert read_time(date(2026, 3, 1), zone=AMSTERDAM) == datetime(
        2026, 2, 28, 23, tzinfo=timezone.utc
    )
    assert reason_of(read_time, at.replace(tzinfo=None)) == "invalid_time"


def test_offsets_with_seconds_become_utc() -> None:
    # Liberia stood 44 minutes and 30 seconds behind Greenwich until 1972
    found = read_time("1971-06-01 00:00", zone="Africa/Monrovia")
    assert found is not None
    assert found.isoformat() == "1971-06-01T00:44:30+00:00"
