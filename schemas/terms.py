"""Calendars and promises: what was promised to a customer, when it is due, in which hours."""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator, model_validator

from schemas.entry import Duration, Entry, Version, as_list
from schemas.patterns import Pattern, Patterns
from schemas.text import Label, Name

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)-(([01]\d|2[0-3]):([0-5]\d)|24:00)$")


class Calendar(Entry):
    """Hours in which a term runs.

    ``hours`` has the open hours of each weekday, e.g. ``mon = ["09:00-12:30", "13:00-17:00"]``;
    a day that is not there is closed, and so are ``holidays``.
    """

    id: Name
    zone: str = Field(description="IANA time zone, e.g. Europe/Amsterdam.")
    hours: dict[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], list[str]] = Field(
        min_length=1
    )
    holidays: list[date] = Field(default_factory=list, description="Closed days.")

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("not a time zone; write e.g. Europe/Amsterdam or UTC") from None
        return value

    @field_validator("hours")
    @classmethod
    def _ordered(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for day, spans in value.items():
            end = 0
            for span in spans:
                begins, ends = minutes(span)
                if begins < end or ends <= begins:
                    raise ValueError(f"{day}: {span} must end after it begins and follow the last")
                end = ends
        if not any(value.values()):
            raise ValueError("open at no time: no term would ever end")
        return value


def minutes(span: str) -> tuple[int, int]:
    """Read open hours such as ``09:00-17:00`` as minutes of the day.

    Raises:
        ValueError: The text is not of that shape.
    """
    match = _HOURS.match(span)
    if match is None:
        raise ValueError(f'{span!r} must look like "09:00-17:00"')
    begins = time(int(match[1]), int(match[2]))
    end = 1440 if match[3] == "24:00" else int(match[4]) * 60 + int(match[5])
    return begins.hour * 60 + begins.minute, end


class Subject(Entry):
    """What a rule or promise looks at one of at a time."""

    per: Literal["customer", "case", "need"] = Field(
        "customer",
        description="Interactions of one customer, one case or one need belong together.",
    )
    case: Annotated[list[Name], BeforeValidator(as_list)] | None = Field(
        None,
        min_length=1,
        description="Kinds of case id; the first that an interaction has counts.",
    )

    @model_validator(mode="after")
    def _case_for_cases(self) -> Subject:
        if (self.per == "case") != (self.case is not None):
            raise ValueError('per = "case" and case = ["ticket_id", …] belong together')
        return self


class Promise(Subject):
    """Something promised to a customer: what makes it, when it is due, what keeps it."""

    id: Name
    name: Label
    version: Version = "1"
    made: Patterns = Field(description="Interactions that make the promise.")
    kept: Patterns = Field(description="Interactions that keep it.")
    cancelled: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Interactions that end it without keeping it."
    )
    term: Duration | None = Field(
        None, description="Due so long after, where the interaction has no promise_due_at."
    )
    calendar: Name | None = Field(None, description="The term runs in these hours only.")
    before: Duration | None = Field(
        None, description="What keeps it may also come up to so long before it."
    )
    open_for: Duration = Field(timedelta(days=90), description="How long a late answer is awaited.")

    @model_validator(mode="after")
    def _term_for_calendar(self) -> Promise:
        if self.calendar is not None and self.term is None:
            raise ValueError("a calendar needs a term")
        return self
