"""What a rule calls an event by: patterns over interactions, or over moments of other rules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from schemas.entry import Condition, Entry, FieldPath, as_condition, as_list
from schemas.text import Label, Name


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
