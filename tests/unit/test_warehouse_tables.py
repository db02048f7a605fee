"""Results as tables: every value as a person reads it, whatever the width of the terminal."""

from __future__ import annotations

import io
import re
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jobs.drawings import sparkline
from jobs.tables import duration, present
from pipeline.warehouse.queries import Result, bind, named_query

AT = datetime(2026, 10, 1, 12, 30, 59, 999_000, tzinfo=timezone.utc)
CUSTOMER = "0" * 32
TIMELINE = [
    (AT, None, "phone_menu", "phone", "awareness", 1, "call", "inbound", "learn", "e-1", []),
    (
        AT,
        90061.0,
        "checkout",
        "web",
        "loyalty",
        2,
        "buy",
        "",
        "pay",
        "e-2",
        ["pain payment_failing (open)"],
    ),
]
MAP = [
    ("vip", "awareness", 1234, 1, 12, ["Marketing", "Sales"], 2, 1),
    ("vip", "loyalty", 0, 0, 0, [], 0, 0),
    ("", "awareness", 5, 4, 1, ["Marketing"], 0, 0),
    ("", "loyalty", 7, 7, 2, ["Service"], 0, 0),
]


def shown(name: str, rows: list[tuple[Any, ...]], width: int = 200, **values: str) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    query = named_query(name)
    present(Result(query, bind(query, values), rows), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def words(text: str) -> str:
    return " ".join(re.sub(r"[─\n]", " ", text).split())


def test_numbers_shares_and_durations_are_readable() -> None:
    row = ("cart", "checkout", 1234567, 890, 0.5, 61.0, 90061.0, 3, 0)
    text = words(shown("transitions", [row]))
    assert (
        "from touchpoint to touchpoint transitions customers share median p90 pains glories" in text
    )
    assert "cart checkout 1,234,567 890 50.0 % █████ 1 min 1 s 1 d 1 h 3 0" in text


def test_differences_carry_their_sign() -> None:
    text = words(shown("stage_distribution", [("trial", 1, 1, 0.25, 0.3, -0.05)]))
    assert "trial 1 1 25.0 % ██▌ 30.0 % ███ -5.0 pp" in text
    assert "+5.0 pp" in shown("stage_distribution", [("trial", 1, 1, 0.25, 0.2, 0.05)])


def test_a_matrix_has_a_cell_for_every_pair_and_shows_gaps() -> None:
    text = shown("touchpoint_map", MAP)
    lines = [words(line) for line in text.splitlines() if words(line)]
    assert lines[:8] == [
        "Touchpoint map",
        "segment awareness loyalty",
        "vip 1,234 gap",
        "1 customer",
        "12 touchpoints",
        "2 pains",
        "1 glory",
        "Marketing +1",
    ]
    assert lines[8:] == [
        "(none) 5 7",
        "4 customers 7 customers",
        "1 touchpoint 2 touchpoints",
        "Marketing Service",
    ]


def test_a_matrix_of_single_values_is_added_up() -> None:
    rows = [
        ("faq", "Service", "web", 3, 2, 0.75),
        ("faq", "Service", "phone", 1, 1, 0.25),
        ("form", "Service", "web", 0, 0, 0.0),
        ("form", "Service", "phone", 0, 0, 0.0),
    ]
    text = words(shown("touchpoint_channels", rows))
    assert "touchpoint web phone all faq 3 1 4 form · · 0" in text
    narrow = words(shown("touchpoint_channels", rows, width=24))
    assert "faq Service web 3 faq Service phone 1" in narrow
    assert "form " not in narrow


def test_a_0_that_is_a_number_is_no_gap() -> None:
    rows = [
        ("2026-09", 0, 4, 4, 1.0),
        ("2026-09", 1, 4, 0, 0.0),
        ("2026-09", 2, 4, 1, 0.25),
    ]
    text = words(shown("retention", rows))
    assert "cohort 0 1 2 2026-09 4 0 1 100.0 % 25.0 %" in text
    assert "gap" not in text


def test_what_counts_customers_several_times_is_not_added_up() -> None:
    rows = [("2026-09", period, 4, 4, 1.0) for period in range(12)]
    for width in (160, 60, 40, 20):
        text = words(shown("retention", rows, width=width))
        assert " all" not in text
        assert "(other)" not in text
        assert "48" not in text


def test_a_matrix_may_lack_a_cell() -> None:
    assert "vip 1,234" in words(shown("touchpoint_map", [MAP[0], MAP[3]]))


def test_a_narrow_terminal_gets_less_and_is_told() -> None:
    text = words(shown("touchpoint_map", MAP, width=36))
    assert "stage vip (none) all awareness 1,234 5 1,239 loyalty · 7 7" in text
    assert "interactions only; a wider terminal or --format json shows more" in text
    text = words(shown("timeline", TIMELINE, 80, customer=CUSTOMER))
    assert "without journey_number, action, direction, need, event_id, moments" in text
    assert "e-1" not in text


@pytest.mark.parametrize("width", [10, 40, 60, 80, 100, 120, 200])
def test_no_width_cuts_a_number_or_a_word(width: int) -> None:
    text = shown("touchpoint_map", MAP, width)
    assert "1,234" in text
    assert "awareness" in text
    text = shown("timeline", TIMELINE, width, customer=CUSTOMER)
    assert "2026-10-01 12:30:59" in text
    assert "phone_menu" in text
    text = shown("top_paths", [("one > two > …", 1234567, 2, 2, 1.0, 0.0)], width)
    assert "1,234,567" in text
    if width >= 60:
        assert all(len(line) <= width for line in text.splitlines())


def test_sections_follow_the_journeys_and_times_are_utc() -> None:
    text = shown("timeline", TIMELINE, customer=CUSTOMER)
    assert "2026-10-01 12:30:59" in text
    first, second = (text.index(name) for name in ("phone_menu", "checkout"))
    assert text[first:second].count("\n") == 2  # a blank line between two journeys
    assert "–" in text[:second]
    assert "1 d 1 h" in text[second - 40 :]


def test_measures_are_shown_in_their_own_units() -> None:
    rows = [
        ("stored", "records", 12345.0, "records", None),
        ("stored", "unclassified_share", 0.0123, "share", None),
        ("time", "first_event", None, "time", AT),
        ("delay", "arrival_delay_max", 3600.0, "seconds", None),
        ("delay", "arrival_delay_median", None, "seconds", None),
    ]
    text = words(shown("data_quality", rows))
    assert "section measure value stored records 12,345 stored unclassified_share 1.2 %" in text
    assert "time first_event 2026-10-01 12:30:59 delay arrival_delay_max 1 h" in text
    assert text.endswith("arrival_delay_median –")


DAYS = [(f"2026-10-0{day}", pains, 0, 0, day, 0, 0) for day, pains in enumerate((1, 0, 7), 1)]


def test_a_series_is_drawn_below_its_table() -> None:
    lines = shown("moments_by_day", DAYS).splitlines()
    assert [line.split() for line in lines[-2:]] == [["pains", "▂▁█"], ["glories", "▃▆█"]]
    assert not any("▁" in line for line in lines[:-2])
    assert "▁" not in shown("moments_by_day", DAYS[:2])
    assert "▁" not in shown("moments_by_day", DAYS, width=12)
    assert "▁" not in shown("touchpoint_map", MAP)


def test_a_series_longer_than_the_terminal_keeps_its_peaks() -> None:
    days = [(f"day {day:03}", int(day == 33), 0, 0, 0, 0, 0) for day in range(100)]
    line = next(line for line in shown("moments_by_day", days, 40).splitlines() if "█" in line)
    assert line.split()[0] == "pains"
    assert len(line) <= 40
    assert line.count("█") == 1
    assert set(line.split()[1]) == {"▁", "█"}


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 10**9), st.floats(0, 1)), max_size=200),
    st.integers(0, 300),
)
def test_a_sparkline_fits_and_shows_what_is_more(values: list[float | None], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) <= max(width, 1)
    if len(values) <= width:
        assert [mark == " " for mark in line] == [value is None for value in values]
        pairs = [(v, mark) for v, mark in zip(values, line, strict=True) if v is not None]
        assert [mark for _, mark in sorted(pairs)] == sorted(mark for _, mark in pairs)
        assert all((mark == "▁") == (value == 0) for value, mark in pairs)


def test_an_empty_result_and_the_parameters_that_were_given() -> None:
    text = shown("top_paths", [], depth="3", since="2026-10-01", collapse_repeats="yes")
    assert text.splitlines() == [
        "Top paths",
        "since 2026-10-01 00:00:00, depth 3",
        "nothing found",
    ]


def test_markup_in_the_data_is_shown_and_not_followed() -> None:
    text = shown("transitions", [("[red]a[/red]", "[b]", 1, 1, 1.0, 0.0, 0.0, 0, 0)])
    assert "[red]a[/red]" in text
    assert "[b]" in text


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (9.994, "9.99 s"),
        (9.995, "10 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3599.9, "1 h"),
        (7_260, "2 h 1 min"),
        (86_400 * 3 + 4 * 3_600 + 59, "3 d 4 h"),
        (86_400_000, "1,000 d"),
        (-90, "-1 min 30 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_durations_keep_their_order_within_their_precision(one: float, other: float) -> None:
    def back(text: str) -> float:
        sizes = {"d": 86_400.0, "h": 3_600.0, "min": 60.0, "s": 1.0}
        parts = text.replace(",", "").split()
        return sum(float(n) * sizes[unit] for n, unit in zip(parts[::2], parts[1::2], strict=True))

    assert back(duration(one)) == pytest.approx(one, rel=0.05, abs=0.5)
    if one * 1.1 + 1 < other:
        assert back(duration(one)) < back(duration(other))
