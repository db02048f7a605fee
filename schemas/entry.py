"""What the parts of a catalog are made of: entries, lengths of time, fields and conditions."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

_DURATION = re.compile(r"^(\d{1,6})(s|m|h|d|w)$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(value: Any) -> timedelta:
    """Read a length of time such as ``30m``, ``48h`` or ``14d``.

    Raises:
        ValueError: The text is not a whole number followed by s, m, h, d or w.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError('must be a whole number and a unit, e.g. "30m", "48h" or "14d"')
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


#: A length of time, written ``30s``, ``30m``, ``48h``, ``14d`` or ``2w``.
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
#: The author's version of a catalog.
Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
Scalar = str | bool | int | float
#: Fields of the envelope that a rule can look at, apart from those below ``FREE_FIELDS``.
FIELDS = (
    "direction",
    "segment",
    "need",
    "language",
    "sentiment",
    "amount",
    "currency",
    "promise_due_at",
    "rating.scale",
    "rating.score",
)
#: Fields of the envelope with keys of their own, any of which a rule can look at.
FREE_FIELDS = ("details", "case_ids", "identifiers")
_FIELD_PATH = "|".join(
    (*map(re.escape, FIELDS), rf"({'|'.join(FREE_FIELDS)})\.[A-Za-z0-9_]{{1,64}}")
)
#: Path of a field of the envelope, e.g. ``details.page_type`` or ``rating.scale``.
FieldPath = Annotated[str, StringConstraints(pattern=rf"^({_FIELD_PATH})$")]


class Entry(BaseModel):
    """Base of everything in a catalog: strict, unknown keys refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Condition(Entry):
    """A condition on one field; every key given must hold."""

    one_of: list[Scalar] | None = Field(None, min_length=1, description="Equal to one of these.")
    exists: bool | None = Field(None, description="Present and not null, or not.")
    min: float | None = Field(None, description="A number, at least this.")
    max: float | None = Field(None, description="A number, at most this.")
    prefix: str | None = Field(None, min_length=1, description="A text starting with this.")

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if not self.model_fields_set:
            raise ValueError("needs one of: one_of, exists, min, max, prefix")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"no number is at least {self.min:g} and at most {self.max:g}")
        return self


def as_condition(value: Any) -> Any:
    """Let a value, or a list of values, stand for the condition of being equal to one."""
    if isinstance(value, (str, bool, int, float)):
        return {"one_of": [value]}
    if isinstance(value, list):
        return {"one_of": value}
    return value


def as_list(value: Any) -> Any:
    """Let one of something stand for a list of it."""
    return [value] if isinstance(value, (str, dict)) else value
