"""Texts, numbers and truth values out of the cells of a row, whatever type the log gave them.

Empty cells are absent values; surrounding white space never counts. What cannot be read is refused
with a reason that never shows the cell, which may hold a person's data.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any
from uuid import UUID

from pipeline.errors import RejectedRecord
from schemas.mapping import Detail, Value

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
#: Beyond this, a float no longer holds every whole number.
_EXACT = 2**53


class Misfit(str, Enum):
    """Why a row does not fit its map; beside these, the reasons of ``pipeline.decode``."""

    BAD_ROW = "bad_row"
    BAD_ENCODING = "bad_encoding"
    MISSING_VALUE = "missing_value"
    UNKNOWN_VALUE = "unknown_value"
    NOT_A_VALUE = "not_a_value"
    INVALID_TIME = "invalid_time"
    AMBIGUOUS_TIME = "ambiguous_time"
    NONEXISTENT_TIME = "nonexistent_time"
    INVALID_NUMBER = "invalid_number"
    INVALID_BOOLEAN = "invalid_boolean"


def text_of(value: Any) -> str | None:
    """Return a cell as text without surrounding white space; None where it is empty.

    Whole numbers are written without a decimal point: columns of numbers with gaps come as floats.

    Raises:
        RejectedRecord: The cell holds several values, bytes, or a number that is none.
    """
    if isinstance(value, str):
        return value.strip() or None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not isfinite(value):
            raise RejectedRecord(Misfit.NOT_A_VALUE.value, "not a finite number")
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (int, UUID)):
        return str(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    raise RejectedRecord(Misfit.NOT_A_VALUE.value, "not a single text, number, time or truth value")


def decimal_of(value: Any, mark: str = ".") -> Decimal | None:
    """Return a cell as a number; None where it is empty.

    Args:
        value: The cell.
        mark: Decimal mark of texts.

    Raises:
        RejectedRecord: It is not a number.
    """
    if isinstance(value, bool):
        raise RejectedRecord(Misfit.INVALID_NUMBER.value, "a truth value is not a number")
    text = text_of(value)
    if text is None:
        return None
    if isinstance(value, str) and mark != ".":
        text = text.replace(".", "x").replace(mark, ".")
    if _NUMBER.fullmatch(text) is None:
        raise RejectedRecord(
            Misfit.INVALID_NUMBER.value, f'not a number (decimal mark "{mark}", no other signs)'
        )
    return Decimal(text)


def json_number(number: Decimal) -> int | float:
    """Return a number as JSON writes it: whole numbers without a decimal point."""
    return int(number) if number == number.to_integral_value() else float(number)


def slug(text: str) -> str:
    """Return lower case words joined by underscores, without accents; it can be empty."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return _NOT_WORD.sub("_", plain).strip("_")


def text_reader(value: Value) -> Callable[[Any], str | None]:
    """Return what turns a cell into the text that a map wants.

    The result returns None for an empty cell and raises RejectedRecord for one it cannot use.
    """
    values, default, make_slug = value.values, value.default, value.slug

    def read(cell: Any) -> str | None:
        text = text_of(cell)
        if text is None:
            return None
        if values is not None:
            found = values.get(text, default)
            if found is None:
                raise RejectedRecord(
                    Misfit.UNKNOWN_VALUE.value, "not among the values, and there is no default"
                )
            text = found
        return (slug(text) or None) if make_slug else text

    return read


def detail_reader(detail: Detail) -> Callable[[Any], Any]:
    """Return what turns a cell into a JSON value below ``details``."""
    read_text = text_reader(detail)
    translated = detail.values is not None or detail.slug

    def read(cell: Any) -> Any:
        if detail.type is None and not translated:
            return json_value(cell)
        if translated:
            cell = read_text(cell)
        if detail.type in ("number", "integer"):
            number = decimal_of(cell, detail.decimal)
            if number is None:
                return None
            found = json_number(number)
            if detail.type == "integer" and not isinstance(found, int):
                raise RejectedRecord(Misfit.INVALID_NUMBER.value, "not a whole number")
            return found
        return _boolean(cell) if detail.type == "boolean" else text_of(cell)

    return read


def json_value(cell: Any) -> Any:
    """Return a cell as a JSON value of its own type; None where it is empty.

    Raises:
        RejectedRecord: JSON has nothing like it.
    """
    if isinstance(cell, (bool, int)):
        return cell
    if isinstance(cell, (float, Decimal)):
        if not isfinite(cell):
            raise RejectedRecord(Misfit.NOT_A_VALUE.value, "not a finite number")
        return cell if isinstance(cell, float) else json_number(cell)
    if isinstance(cell, dict):
        return {str(key): json_value(item) for key, item in cell.items()}
    if isinstance(cell, (list, tuple)):
        return [json_value(item) for item in cell]
    return text_of(cell)


def _boolean(cell: Any) -> bool | None:
    text = text_of(cell)
    if text is None:
        return None
    found = _BOOLEANS.get(text.casefold())
    if found is None:
        raise RejectedRecord(
            Misfit.INVALID_BOOLEAN.value, f"not one of {', '.join(sorted(_BOOLEANS))}"
        )
    return found
