"""A notification: what a destination is told of an alert, and the data of the CloudEvent it gets.

An alert gathers moments of one route; its first notification triggers it, later ones update,
acknowledge or resolve it. All carry the same ``alert_id``, so that a receiver knows them for one
thing, and a ``sequence`` that rises. No identifier of a person is in it: customers are the keyed
hashes that the warehouse has.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.moment import Status
from schemas.rules import Severity

#: Version of this contract; the rule for changing it is that of ``schemas.interaction``.
NOTIFICATION_VERSION = "1.0"
#: trigger: it is new to this destination. update: more moments, or escalated. acknowledge: somebody
#: sees to it. resolve: all its moments are closed.
Action = Literal["trigger", "update", "acknowledge", "resolve"]
#: Most moments that a notification describes, and most ids of moments that it lists.
MOST_DESCRIBED, MOST_LISTED = 10, 1_000

_NAMESPACE = UUID("0b0f3a52-6f0e-5d6c-8f3a-0a1c55d2a3f7")


def alert_id(route: str, moment: UUID, revision: int) -> UUID:
    """Return the identity of an alert: of its route, and the moment that began it."""
    return uuid5(_NAMESPACE, f"{route}\x1f{moment}\x1f{revision}")


def delivery_id(alert: UUID, destination: str, sequence: int) -> UUID:
    """Return the identity of a delivery, the same however often it is tried."""
    return uuid5(_NAMESPACE, f"{alert}\x1f{destination}\x1f{sequence}")


class Told(BaseModel):
    """One moment as an alert describes it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    moment_id: UUID
    status: Status
    rule: str = Field(description="Rule that found it.")
    severity: Severity
    customer_key: str = Field(description="Keyed hash of the customer's strongest identifier.")
    segment: str
    touchpoint: str = Field(description="Touchpoint of the causing event.")
    channel: str
    subject: str = Field(description="Case, need or value the rule looked at, or empty.")
    text: str = Field(description="What happened, in the words of the rule.")
    cause_at: AwareDatetime = Field(description="When the causing event happened: since when.")
    occurred_at: AwareDatetime = Field(description="When it became a moment.")
    due_at: AwareDatetime | None = Field(None, description="When the promise or term was due.")
    promise: str = Field("", description="Name of the promise, where one was broken.")
    last_touchpoints: list[str] = Field(
        default_factory=list,
        description="The customer's last three touchpoints, `touchpoint (channel)`, latest last.",
    )
    link: str = Field("", description="The route's link, filled in for this moment.")


class Notification(BaseModel):
    """What a destination is told of an alert."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: str = NOTIFICATION_VERSION
    alert_id: UUID = Field(description="The same in all notifications of one alert.")
    sequence: Annotated[int, Field(ge=1)] = Field(description="Rises within an alert.")
    action: Action
    route: str = Field(description="Route of the catalog that it came by.")
    group: dict[str, str] = Field(description="What its moments have in common, e.g. the rule.")
    kind: Literal["pain", "glory"]
    severity: Severity = Field(description="The highest of its moments.")
    owner: str = Field(description="Who is to see to it; several are joined by commas.")
    title: str = Field(description="One line.")
    text: str = Field(description="For a person, in lines.")
    count: int = Field(description="Moments so far.")
    open: int = Field(description="Moments among them that are not closed.")
    customers: list[str] = Field(description="The first customers, keyed hashes.")
    moments: list[Told] = Field(description="The first moments; of an update the latest.")
    moment_ids: list[UUID] = Field(description="Moments since the last notification, first 1,000.")
    opened_at: AwareDatetime = Field(description="When the alert was opened.")
    changed_at: AwareDatetime = Field(description="When this was decided.")
    escalated: bool = Field(False, description="Nobody acknowledged it within the term.")
    summary: bool = Field(False, description="Held back in quiet hours or by a silence until now.")
    acknowledged_by: str = Field("", description="Who acknowledged it, or empty.")
    link: str = Field("", description="The route's link.")
    test: bool = Field(False, description="A sample, sent by `touchline alerts test`.")
