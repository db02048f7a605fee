"""Rules that say when a touchpoint became a moment of truth, as data.

Part of the catalog. A rule looks at one customer's interactions in the order of event time, per
customer, case or need, and says which of them made a moment of pain or of glory; a promise says
what was promised, when it is due and what keeps it. ``docs/moments.md`` says exactly what each
type of rule finds.
"""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from schemas.entry import (
    FIELDS,
    FREE_FIELDS,
    Condition,
    Duration,
    Entry,
    FieldPath,
    Version,
    as_condition,
    as_list,
)
from schemas.text import Label, Name

#: Rule id of the moment that ``Strikes`` finds; no rule of a catalog may have it.
STRIKES = "three_strikes"
#: How bad a pain, or how good a glory, is; mild first.
SEVERITIES = ("low", "medium", "high", "critical")
Severity = Literal["low", "medium", "high", "critical"]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
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
_HOURS = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)-(([01]\d|2[0-3]):([0-5]\d)|24:00)$")


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


class CustomerState(Entry):
    """What the customer has done before the interaction: a fact of the catalog, so many times."""

    fact: Name
    times: int = Field(1, ge=1, le=100, description="At least so often before.")
    absent: bool = Field(False, description="True: fewer times than that.")


class MomentRef(Entry):
    """Moments that other rules found, as something that happened."""

    kind: Literal["pain", "glory"] | None = Field(None, description="Of this kind.")
    rule: Annotated[list[Name], BeforeValidator(as_list)] | None = Field(
        None, min_length=1, description="Found by one of these rules."
    )
    status: Literal["open", "resolved"] = Field(
        "open", description="open: when it came to be; resolved: when it was resolved."
    )


class Pattern(Entry):
    """Interactions: everything given must hold."""

    touchpoint: Annotated[list[Name], BeforeValidator(as_list)] | None = Field(None, min_length=1)
    channel: Annotated[list[Name], BeforeValidator(as_list)] | None = Field(None, min_length=1)
    action: Annotated[list[Label], BeforeValidator(as_list)] | None = Field(None, min_length=1)
    direction: Literal["inbound", "outbound"] | None = None
    need: Annotated[list[Name], BeforeValidator(as_list)] | None = Field(
        None, min_length=1, description="As delivered, else the touchpoint's typical need."
    )
    segment: Annotated[list[Label], BeforeValidator(as_list)] | None = Field(None, min_length=1)
    stage: Annotated[list[Name], BeforeValidator(as_list)] | None = Field(
        None, min_length=1, description="Lifecycle stage, given what the customer did before."
    )
    where: dict[FieldPath, Annotated[Condition, BeforeValidator(as_condition)]] = Field(
        default_factory=dict
    )
    customer: CustomerState | None = None
    moment: MomentRef | None = Field(
        None, description="Instead of interactions: moments of other rules. Stands alone."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Pattern:
        if not self.model_fields_set:
            raise ValueError("says nothing: name a touchpoint, an action, …")
        if self.moment is not None and len(self.model_fields_set) > 1:
            raise ValueError("moment stands alone: interactions and moments do not mix")
        if any(path.startswith("identifiers.") for path in self.where):
            raise ValueError("identifiers are hashed at rest: no rule can look at them")
        if "need" in self.where:
            raise ValueError("write need = … instead: it also knows the touchpoint's typical need")
        return self


#: One pattern or a list of them, any of which may fit.
Patterns = Annotated[list[Pattern], BeforeValidator(as_list), Field(min_length=1)]


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
