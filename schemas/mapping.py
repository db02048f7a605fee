"""How a foreign log becomes interactions: the model of a MAP.toml.

A map names, for every field of the envelope, the columns of the log it comes from. It holds no
code: a field is a constant, a column, or columns joined by a separator, with an optional table of
values. What does not fit is reported row by row and never guessed at.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from schemas.entry import Entry
from schemas.text import Label, Name

#: Name of a column of the log, exactly as its header writes it; in NDJSON ``a.b`` looks inside.
Column = Annotated[str, StringConstraints(min_length=1, max_length=256)]
#: Key below ``details``.
DetailKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,64}$")]


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        raise ValueError('not a zone of the IANA database, e.g. "Europe/Amsterdam"') from None
    return value


def _usable_format(value: str) -> str:
    if "%Z" in value:
        raise ValueError("names of zones (%Z) are ambiguous: use %z, or zone")
    try:
        datetime.strptime(_SAMPLE.strftime(value), value)  # noqa: DTZ007 - only tried
    except ValueError:
        raise ValueError('not a strptime format, e.g. "%d-%m-%Y %H:%M:%S"') from None
    return value


_SAMPLE = datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
#: Name of a zone of the IANA time zone database.
Zone = Annotated[str, AfterValidator(_known_zone)]
#: A format of Python's ``strptime``.
TimeFormat = Annotated[str, StringConstraints(pattern="%"), AfterValidator(_usable_format)]


def _unset(value: object) -> bool:
    return value is None or value is False  # a constant of 0 is set


class FromColumns(Entry):
    """A value taken from one column, or from several joined."""

    column: Column | None = Field(None, description="The column.")
    columns: list[Column] | None = Field(
        None, min_length=1, max_length=16, description="Columns to join; empty ones stay as gaps."
    )
    separator: str | None = Field(
        None, max_length=16, description="Put between joined columns; nothing when unset."
    )
    optional: bool = Field(False, description="Whether the log may lack the columns altogether.")

    @property
    def named(self) -> list[str]:
        """The columns that the value is taken from."""
        return [self.column] if self.column is not None else list(self.columns or ())

    @model_validator(mode="after")
    def _one_origin(self) -> FromColumns:
        origins = self._origins()
        given = [name for name in origins if not _unset(getattr(self, name))]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of {', '.join(origins)}")
        if self.separator is not None and self.columns is None:
            raise ValueError("separator is for columns")
        if self.optional and not self.named:
            raise ValueError("optional is for column and columns")
        return self

    def _origins(self) -> tuple[str, ...]:
        return ("column", "columns")


class Value(FromColumns):
    """A text: constant, column or joined columns, then translated, then made a slug."""

    constant: str | None = Field(None, min_length=1, description="The same for every row.")
    values: dict[str, str] | None = Field(
        None,
        min_length=1,
        description="Translation of the column's values; one that is missing here makes the row "
        "unfit unless there is a default.",
    )
    default: str | None = Field(
        None, min_length=1, description="Stands for values that the translation lacks."
    )
    slug: bool = Field(
        False, description="Lower case, everything but letters and digits to single underscores."
    )

    @model_validator(mode="after")
    def _translation(self) -> Value:
        if self.values is not None and self.constant is not None:
            raise ValueError("values is for column and columns")
        if self.default is not None and self.values is None:
            raise ValueError("default is for values")
        return self

    def _origins(self) -> tuple[str, ...]:
        return ("constant", "column", "columns")

    @property
    def results(self) -> list[tuple[tuple[str, ...], str]]:
        """Every text that the map itself says, with its path below this value."""
        found: list[tuple[tuple[str, ...], str]] = []
        if self.constant is not None:
            found.append((("constant",), self.constant))
        if self.default is not None:
            found.append((("default",), self.default))
        found.extend((("values", key), value) for key, value in (self.values or {}).items())
        return found


class EventId(FromColumns):
    """The idempotency key: columns of the log, or a UUID (version 5) made from the row.

    A UUID is made from the map's ``source`` and the named columns, or the number of the row. Both
    give the same ids when the same log is read again.
    """

    uuid_of: list[Column] | None = Field(
        None, min_length=1, max_length=16, description="Columns that together name an event."
    )
    uuid_of_row: bool = Field(
        False, description="Use the row's number: only for a log that never changes."
    )

    @property
    def named(self) -> list[str]:
        """The columns that the id is made from."""
        return list(self.uuid_of) if self.uuid_of is not None else super().named

    def _origins(self) -> tuple[str, ...]:
        return ("column", "columns", "uuid_of", "uuid_of_row")


class Time(FromColumns):
    """An instant.

    ISO 8601 unless ``formats`` or ``unit`` says otherwise; a date alone is its midnight. A time
    that carries no offset is read in ``zone``, and makes the row unfit where there is none.
    """

    formats: list[TimeFormat] | None = Field(
        None, min_length=1, description="strptime formats, tried in this order."
    )
    unit: Literal["s", "ms", "us"] | None = Field(
        None, description="The column holds a number: seconds, milli- or microseconds since 1970."
    )
    zone: Zone | None = Field(None, description="IANA zone of times without an offset.")
    ambiguous: Literal["refuse", "earlier", "later"] = Field(
        "refuse", description="A local time that happens twice when clocks are set back."
    )
    nonexistent: Literal["refuse", "shift"] = Field(
        "refuse",
        description="A local time that clocks jump over; shift adds the length of the jump.",
    )

    @model_validator(mode="after")
    def _one_notation(self) -> Time:
        if self.formats is not None and self.unit is not None:
            raise ValueError("formats and unit exclude each other")
        if self.unit is not None and self.zone is not None:
            raise ValueError("a number of seconds since 1970 has no zone")
        if self.zone is None and (self.ambiguous, self.nonexistent) != ("refuse", "refuse"):
            raise ValueError("ambiguous and nonexistent are for times in a zone")
        return self


class Number(FromColumns):
    """A number: a constant or a column of digits, without thousands separators."""

    constant: float | None = Field(None, allow_inf_nan=False)
    decimal: Literal[".", ","] = Field(".", description="Decimal mark of the column.")

    def _origins(self) -> tuple[str, ...]:
        return ("constant", "column", "columns")


class Detail(Value):
    """A value below ``details``."""

    type: Literal["text", "number", "integer", "boolean"] | None = Field(
        None, description="What it is; as the log has it when unset (text, in CSV)."
    )
    decimal: Literal[".", ","] = Field(".", description="Decimal mark, for number.")


class RatingMap(Entry):
    """The score that the customer gave; a row with an empty score has no rating."""

    scale: Value
    score: Number


class _Fields(Entry):
    """What an interaction says for itself."""

    action: Value
    occurred_at: Time
    sent_at: Time | None = None
    need: Value | None = None
    rating: RatingMap | None = None
    sentiment: Number | None = None
    amount: Number | None = None
    currency: Value | None = Field(None, description="Left out where the amount is empty.")
    promise_due_at: Time | None = None
    direction: Value | None = None
    details: dict[DetailKey, Detail] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _amount_has_currency(self) -> _Fields:
        if (self.amount is None) != (self.currency is None):
            raise ValueError("amount and currency need each other")
        return self


class EventMap(_Fields):
    """Where each field of the envelope comes from; the channel is checked against the catalog."""

    event_id: EventId
    channel: Value
    identifiers: dict[Name, Value] = Field(
        min_length=1, max_length=16, description="At least one must be there in every row."
    )
    case_ids: dict[Name, Value] = Field(default_factory=dict, max_length=16)
    segment: Value | None = None
    language: Value | None = None


class Also(_Fields):
    """A further interaction that a row tells of, wherever the row says when it happened.

    For what a log repeats beside its events, such as when their case began and ended, and for logs
    with one row a thing and a column for each of its times.
    """

    id: Name = Field(description="Part of its event ids: it stays, and none other has it.")
    once_per: list[Column] | None = Field(
        None,
        min_length=1,
        max_length=16,
        description="Columns that together name it: the first row that tells of it counts, and its "
        "event id is made from them. One for every row, named after the row's own, when unset.",
    )
    occurred_at: Time = Field(description="Where it is empty the row tells of no such interaction.")
    channel: Value | None = Field(None, description="That of event when unset, as all below.")
    identifiers: dict[Name, Value] | None = Field(None, min_length=1, max_length=16)
    case_ids: dict[Name, Value] | None = Field(None, max_length=16)
    segment: Value | None = None
    language: Value | None = None


class Mapping(Entry):
    """A MAP.toml: what the log is called, how it is written, and where each field comes from."""

    source: Label = Field(
        description="Name of the log, part of the ids made by uuid_of and uuid_of_row: two logs "
        "never share one, and one log keeps it."
    )
    format: Literal["csv", "ndjson", "parquet"] | None = Field(
        None, description="What the file is; told by the ending of its name when unset."
    )
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] | None = Field(
        None, description="Between the fields of a CSV; a comma, or a tab in .tsv, when unset."
    )
    unmapped: Literal["drop", "details"] = Field(
        description="Columns that nothing names: drop them, or keep them in details under a slug "
        "of their name. Details are stored as they are, identifiers are hashed: a column that "
        "identifies a person does not belong into details."
    )
    event: EventMap
    also: list[Also] = Field(
        default_factory=list, max_length=64, description="Further interactions of the same rows."
    )
