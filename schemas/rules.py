"""Rules that say when a touchpoint became a moment of truth, as data.

Part of the catalog. A rule looks at one customer's interactions in the order of event time, per
customer, case or need, and says which of them made a moment of pain or of glory; a promise says
what was promised, when it is due and what keeps it. ``docs/moments.md`` says exactly what each
type of rule finds.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from schemas.entry import FIELDS, FREE_FIELDS, Duration, Entry, FieldPath, Version, as_list
from schemas.patterns import Pattern, Patterns
from schemas.terms import Subject
from schemas.text import Label, Name

#: Rule id of the moment that ``Strikes`` finds; no rule of a catalog may have it.
STRIKES = "three_strikes"
#: How bad a pain, or how good a glory, is; mild first.
SEVERITIES = ("low", "medium", "high", "critical")
Severity = Literal["low", "medium", "high", "critical"]
#: What a text for the person alerted can name, beside fields of the event that caused the moment.
PLACEHOLDERS = (
    "customer",
    "touchpoint",
    "channel",
    "subject",
    "cause_at",
    "occurred_at",
    "due_at",
    "count",
    "owner",
)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def placeholders(text: str) -> list[str]:
    """Return what stands in braces in a text."""
    return _PLACEHOLDER.findall(text)


def _text(value: str) -> str:
    if "{" in _PLACEHOLDER.sub("", value) or "}" in _PLACEHOLDER.sub("", value):
        raise ValueError("a brace without its partner")
    for name in placeholders(value):
        head, _, rest = name.partition(".")
        known = name in PLACEHOLDERS or name in FIELDS
        if not known and not (head in FREE_FIELDS and head != "identifiers" and rest):
            raise ValueError(
                f"{{{name}}} is not known (fix: one of {', '.join(PLACEHOLDERS)}, or a field of "
                "the event such as details.form_id; identifiers are personal and never shown)"
            )
    return value


def _groupable(value: str) -> str:
    if value == "need" or value.startswith("identifiers."):
        raise ValueError('identifiers are hashed at rest; for needs write per = "need"')
    return value


#: Field whose values a rule looks at apart.
GroupPath = Annotated[FieldPath, AfterValidator(_groupable)]
#: One or more lines for the person alerted, with fields in braces.
AlertText = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class RuleBase(Subject):
    """What every rule says."""

    id: Name
    name: Label
    version: Version = "1"
    kind: Literal["pain", "glory"]
    severity: Severity = "medium"
    owner: Label | None = Field(None, description="Who is told; the touchpoint's owner if unset.")
    text: AlertText = Field(description="For the person alerted, with fields in braces.")
    source: str = Field(min_length=1, max_length=500, description="Why the rule exists.")
    resolved_by: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Interactions after which a pain is mended."
    )
    retracted_by: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Interactions that show it was none."
    )
    open_for: Duration = Field(
        timedelta(days=90), description="How long resolving or retracting is awaited."
    )

    @field_validator("text")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        return _text(value)

    @model_validator(mode="after")
    def _glory_has_no_end(self) -> RuleBase:
        if self.kind == "glory" and self.resolved_by:
            raise ValueError("there is nothing to resolve in a glory")
        return self


class Single(RuleBase):
    """One interaction."""

    type: Literal["single"]
    when: Patterns


class Count(RuleBase):
    """So many interactions within a time."""

    type: Literal["count"]
    when: Patterns
    count: int = Field(ge=2, le=1000)
    within: Duration
    unless: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Begins the count anew."
    )
    same: GroupPath | None = Field(None, description="Counted per value of this field.")


class Rate(RuleBase):
    """More than so many interactions in a rolling time; over when it falls again."""

    type: Literal["rate"]
    when: Patterns
    more_than: int = Field(ge=1, le=1000)
    within: Duration
    same: GroupPath | None = Field(None, description="Counted per value of this field.")


class Sequence(RuleBase):
    """One interaction, then another within a time, unless a third comes between.

    Or, with ``promise``: a promise kept within this share of its term.
    """

    type: Literal["sequence"]
    first: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(default_factory=list)
    then: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(default_factory=list)
    within: Duration | None = None
    unless: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(default_factory=list)
    promise: Name | None = None
    share: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def _either(self) -> Sequence:
        if self.promise is not None:
            wrong = bool(self.first or self.then or self.unless) or self.within is not None
            if wrong or self.share is None or self.per != "customer":
                raise ValueError("with promise: share, and no first, then, within, unless, per")
        elif not self.first or not self.then or self.within is None or self.share is not None:
            raise ValueError("needs first, then and within; or promise and share")
        return self


class Absence(RuleBase):
    """One interaction that another does not follow within a time. Or: a promise broken."""

    type: Literal["absence"]
    after: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(default_factory=list)
    until: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(default_factory=list)
    within: Duration | None = None
    calendar: Name | None = Field(None, description="The time runs in these hours only.")
    unless: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(
        default_factory=list, description="Ends the waiting without harm."
    )
    each: bool = Field(
        True, description="False: a further `after` in time begins the waiting anew."
    )
    promise: Name | None = None

    @model_validator(mode="after")
    def _either(self) -> Absence:
        if self.promise is not None:
            wrong = bool(self.after or self.until or self.unless) or self.within is not None
            if wrong or self.calendar is not None or self.per != "customer" or not self.each:
                raise ValueError("with promise: no after, until, within, calendar, unless, per")
        elif not self.after or not self.until or self.within is None:
            raise ValueError("needs after, until and within; or promise")
        return self


class Change(RuleBase):
    """The same case or need goes on, on another channel."""

    type: Literal["change"]
    when: Patterns
    then: Annotated[list[Pattern], BeforeValidator(as_list)] = Field(
        default_factory=list, description="What comes on the other channel; `when` if unset."
    )
    within: Duration

    @model_validator(mode="after")
    def _per_thread(self) -> Change:
        if self.per == "customer":
            raise ValueError('per = "case" or per = "need" says what goes on')
        return self


Rule = Annotated[Single | Count | Rate | Sequence | Absence | Change, Field(discriminator="type")]


class Strikes(Entry):
    """So many unresolved pains of a customer within a rolling time: a pain of its own."""

    threshold: int = Field(3, ge=1, le=100)
    window: Duration = timedelta(days=90)
    version: Version = "1"
    severity: Severity = "critical"
    owner: Label = "Customer care"
    text: AlertText = "{customer} has {count} unresolved pains: likely to leave."
    source: str = Field(
        "Three bad experiences or fewer make 86 % of loyal customers leave.", min_length=1
    )

    @field_validator("text")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        return _text(value)


class Trust(Entry):
    """How glory weighs against pain."""

    glories_per_pain: float = Field(
        12, gt=0, le=1000, description="Glories that wipe out one pain."
    )


def patterns_of(entry: Any) -> list[tuple[str, list[Pattern]]]:
    """Return the patterns of a rule or promise by the key they stand under."""
    return [
        (name, value)
        for name in type(entry).model_fields
        if isinstance(value := getattr(entry, name), list)
        and value
        and isinstance(value[0], Pattern)
    ]
