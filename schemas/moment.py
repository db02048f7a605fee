"""A moment of truth: what the topic ``moments`` carries and the table of moments holds.

One record says what is known of one moment now; a later record of the same ``moment_id`` with a
higher ``revision`` replaces it. The identity is made of the rule, the customer, the subject and the
event that caused it, so finding a moment again gives the same one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.rules import Severity
from schemas.text import Label, Name, Opaque

#: Version of this contract; the rule for changing it is that of ``schemas.interaction``.
MOMENT_VERSION = "1.0"
#: open: stands, and nothing mended it. resolved: mended. retracted: a rule's `retracted_by` showed
#: that it was none. withdrawn: it was found before everything was known, and what came later shows
#: that there never was one; such moments appear in no view.
Status = Literal["open", "resolved", "retracted", "withdrawn"]
#: pending: not due yet. kept, kept_late and broken: what became of it. cancelled: ended without.
#: withdrawn: as above.
PromiseStatus = Literal["pending", "kept", "kept_late", "broken", "cancelled", "withdrawn"]

_NAMESPACE = UUID("6c1f7f0e-5e0c-5b1e-9a44-7a3f4a0d6b10")


def moment_id(rule: str, customer_key: str, subject: str, cause: str) -> UUID:
    """Return the identity of a moment or a promise.

    Args:
        rule: Id of the rule, or of the promise.
        customer_key: The customer.
        subject: The case, need or value the rule looked at; empty for the whole customer.
        cause: Id of the event that caused it; for three strikes the last pain's moment id.
    """
    return uuid5(_NAMESPACE, "\x1f".join((rule, customer_key, subject, cause)))


class Moment(BaseModel):
    """What is known of one moment of truth."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, hide_input_in_errors=True)

    schema_version: str = MOMENT_VERSION
    moment_id: UUID = Field(description="The same whenever the moment is found again.")
    revision: Annotated[int, Field(ge=1)] = Field(description="Rises with every change.")
    status: Status
    kind: Literal["pain", "glory"]
    severity: Severity
    rule: Name = Field(description="Rule that found it.")
    rule_version: str = Field(description="Version of the rule.")
    catalog_version: str = Field(description="Version of the catalog.")
    customer_key: str = Field(description="Keyed hash of the customer's strongest identifier.")
    subject: str = Field(description="Case, need or value the rule looked at, or empty.")
    segment: str = Field(description="Segment as the causing event says, or empty.")
    touchpoint: Name = Field(description="Touchpoint of the causing event.")
    channel: Name = Field(description="Channel of the causing event.")
    need: str = Field(description="Need of the causing event.")
    owner: Label = Field(description="Who is to be told.")
    text: str = Field(description="For the person told.")
    cause: Opaque = Field(description="Id of the event that caused it.")
    evidence: list[str] = Field(description="Ids of the events that show it, in order.")
    cause_at: AwareDatetime = Field(description="When the causing event happened.")
    occurred_at: AwareDatetime = Field(
        description="When it became a moment; for something that did not happen, when it was due."
    )
    due_at: datetime | None = Field(None, description="When the promise or term was due.")
    closed_at: datetime | None = Field(None, description="When it was resolved or retracted.")
    closed_by: str = Field("", description="Event that did; empty where time did.")
    detected_at: AwareDatetime = Field(description="When the worker first found it (wall clock).")
    changed_at: AwareDatetime = Field(description="When this revision was made (wall clock).")
