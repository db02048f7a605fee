from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import RejectedRecord
from pipeline.mapping.values import (
    Misfit,
    decimal_of,
    detail_reader,
    json_value,
    slug,
    text_of,
    text_reader,
)
from schemas.mapping import Detail, Value
from tests.unit.logs import reason_of


@given(
    st.dictionaries(
        st.text(min_size=1).map(str.strip).filter(bool), st.text(min_size=1), min_size=1
    ),
    st.text(),
    st.none() | st.text(min_size=1),
)
def test_a_value_is_translated_defaulted_or_refused(
    values: dict[str, str], cell: str, default: str | None
) -> None:
    read = text_reader(Value(column="c", values=values, default=default))
    for key, value in values.items():
        assert read(f" {key}\t") == value
    if not cell.strip():
        assert read(cell) is None
    elif cell.strip() in values or default is not None:
        assert read(cell) == values.get(cell.strip(), default)
    else:
        with pytest.raises(RejectedRecord) as caught:
            read(cell)
        assert caught.value.reason == Misfit.UNKNOWN_VALUE.value
        assert caught.value.error == "not among the values, and there is no default"


@given(st.text())
@example("Café – bezoek 2")
def test_slugs(text: str) -> None:
    made = slug(text)
    assert "__" not in made
    assert not made.startswith("_")
    assert not made.endswith("_")
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert slug(made) == made
    assert slug("Café – bezoek 2") == "cafe_bezoek_2"


@given(st.decimals(-(10**12), 10**12, places=3), st.sampled_from([".", ","]))
def test_numbers_are_read_back(number: Decimal, mark: str) -> None:
    text = format(number, "f").replace(".", mark)
    assert decimal_of(text, mark) == number
    other = "," if mark == "." else "."
    assert reason_of(decimal_of, text, other) == Misfit.INVALID_NUMBER.value


@pytest.mark.parametrize(
    "text", ["NaN", "inf", "1 000", "1.000,5", "0x1", "1_000", "٣", "--1", "€5"]
)
def test_what_is_no_number(text: str) -> None:
    assert reason_of(decimal_of, text) == Misfit.INVALID_NUMBER.value
    assert reason_of(decimal_of, text, ",") == Misfit.INVALID_NUMBER.value


def test_cells_of_other_types_as_text() -> None:
    cells = [7.0, 7.5, True, Decimal("1.50"), 12345678901234567890123, date(2026, 3, 1), None, "  "]
    assert [text_of(cell) for cell in cells] == [
        "7", "7.5", "true", "1.50", "12345678901234567890123", "2026-03-01", None, None,
    ]  # fmt: skip
    for cell in ([1], {"a": 1}, b"x", float("nan")):
        assert reason_of(text_of, cell) == Misfit.NOT_A_VALUE.value


def test_details_have_the_type_that_is_asked_for() -> None:
    def read(cell: Any, **options: Any) -> Any:
        return detail_reader(Detail(column="c", **options))(cell)

    assert read("7", type="integer") == 7
    assert read("7,5", type="number", decimal=",") == 7.5
    assert read("Yes", type="boolean") is True
    assert read("7") == "7"
    assert read(7) == 7
    assert read(7, type="text") == "7"
    assert read("", type="integer") is None
    assert read("J", values={"J": "true"}, type="boolean") is True
    assert read("Groot Formaat", slug=True) == "groot_formaat"
    assert reason_of(read, "7.5", type="integer") == Misfit.INVALID_NUMBER.value
    assert reason_of(read, "maybe", type="boolean") == Misfit.INVALID_BOOLEAN.value


def test_nested_cells_become_json() -> None:
    cell = {"a": [Decimal("1.5"), Decimal(2), None, date(2026, 1, 1)], "b": {"c": True}}
    assert json_value(cell) == {"a": [1.5, 2, None, "2026-01-01"], "b": {"c": True}}
    assert reason_of(json_value, [Decimal("NaN")]) == Misfit.NOT_A_VALUE.value
