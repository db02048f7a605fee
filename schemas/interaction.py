"""The event contract: one Kafka record is one ``Interaction``, the same envelope on every channel.

Changing it: a new optional field raises the minor number of ``SCHEMA_VERSION`` and old readers keep
what they do not know; anything that could make an accepted record rejected or change its meaning
raises the major number, and readers reject majors they do not know. ``docs/contract.md`` has the
rule with examples; ``json/`` holds the exported JSON Schema and ``examples/`` valid and invalid
records, all compared with the models by a test.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationInfo,
    model_validator,
)

from schemas.details import EmailDetails, PhoneDetails, StoreDetails, WebDetails
from schemas.text import Identifier, Instant, Label, Name, Opaque

#: Version of the envelope that this package writes.
SCHEMA_VERSION = "1.0"
#: Channels with details of their own; every other channel must be declared in the catalog.
TYPED_CHANNELS = ("web", "email", "phone", "store")
#: Who the customer is, as far as the channel knows: the kind of identifier and its value. Known
#: kinds are customer_id, loyalty_card, email, phone (E.164 where possible) and anonymous_id (a
#: cookie or device); others are kept. At least one. Each is replaced by a keyed hash before it is
#: stored.
Identifiers = Annotated[dict[Name, Identifier], Field(min_length=1, max_length=16)]
#: Lowest and highest score of each rating scale.
RATING_SCALES: dict[str, tuple[float, float]] = {
    "nps": (0, 10),
    "csat": (1, 5),
    "ces": (1, 7),
    "stars": (1, 5),
}


class Rating(BaseModel):
    """A score that the customer gave."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, hide_input_in_errors=True)

    scale: Literal["nps", "csat", "ces", "stars"] = Field(
        description="nps 0 to 10, csat 1 to 5, ces 1 to 7 (7 is easiest), stars 1 to 5."
    )
    score: float = Field(allow_inf_nan=False, description="The score, within its scale.")

    @model_validator(mode="after")
    def _within_scale(self) -> Rating:
        low, high = RATING_SCALES[self.scale]
        if not low <= self.score <= high:
            raise ValueError(f"score must be from {low:g} to {high:g} on scale {self.scale}")
        return self


def _has_currency(amount: Decimal, info: ValidationInfo) -> Decimal:
    if info.data.get("currency") is None:
        raise ValueError("amount needs a currency")
    return amount


#: Money; checked against the currency, which therefore stands before it in the envelope.
Amount = Annotated[Decimal, Field(max_digits=18, decimal_places=4), AfterValidator(_has_currency)]


class Envelope(BaseModel):
    """What every interaction carries, whatever its channel. Unknown fields are kept."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, hide_input_in_errors=True)

    event_id: Opaque = Field(description="Idempotency key: the same event keeps it when resent.")
    schema_version: Annotated[str, StringConstraints(pattern=r"^1\.[0-9]{1,3}$")] = Field(
        description="Version of this contract, major.minor."
    )
    channel: Name = Field(
        description="The medium: web, email, phone, store or one the catalog has."
    )
    action: Label = Field(description="What happened on the channel, e.g. page_view, call_ended.")
    occurred_at: Instant = Field(description="When it happened (event time), with a zone.")
    sent_at: Instant | None = Field(None, description="When the producer sent it.")
    identifiers: Identifiers = Field(description="Who the customer is; hashed before storing.")
    case_ids: dict[Name, Opaque] = Field(
        default_factory=dict,
        max_length=16,
        description="Threads it belongs to: order_id, ticket_id, request_id, …",
    )
    segment: Label | None = Field(None, description="Group the customer belongs to.")
    need: Name | None = Field(None, description="What the customer wanted, where it is known.")
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{2,35}$")] | None = Field(
        None, description="Language as a BCP 47 tag."
    )
    rating: Rating | None = Field(None, description="Score the customer gave.")
    sentiment: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = Field(
        None, description="Mood of what was said, from -1 (bad) to 1 (good)."
    )
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = Field(
        None, description="ISO 4217 code; required with an amount."
    )
    amount: Amount | None = Field(None, description="Money that moved, in units of the currency.")
    promise_due_at: Instant | None = Field(
        None, description="When what was promised here is due, e.g. an answer or a delivery."
    )
    direction: Literal["inbound", "outbound"] | None = Field(
        None, description="From the customer (inbound) or to the customer (outbound)."
    )


class WebInteraction(Envelope):
    """An interaction on the web."""

    channel: Literal["web"]
    details: WebDetails = Field(default_factory=WebDetails, description="What the site knows.")


class EmailInteraction(Envelope):
    """An interaction by email."""

    channel: Literal["email"]
    details: EmailDetails = Field(default_factory=EmailDetails, description="What mail knows.")


class PhoneInteraction(Envelope):
    """An interaction by phone."""

    channel: Literal["phone"]
    details: PhoneDetails = Field(default_factory=PhoneDetails, description="What a call knows.")


class StoreInteraction(Envelope):
    """An interaction in a store."""

    channel: Literal["store"]
    details: StoreDetails = Field(default_factory=StoreDetails, description="What a store knows.")


class OtherInteraction(Envelope):
    """An interaction on a channel that only the catalog declares: its details are free-form."""

    details: dict[str, Any] = Field(default_factory=dict, description="Free-form details.")


def _tag(value: Any) -> str:
    channel = value.get("channel") if isinstance(value, dict) else getattr(value, "channel", None)
    return channel if isinstance(channel, str) and channel in TYPED_CHANNELS else "other"


#: Any interaction; which model applies is decided by ``channel``.
Interaction = Annotated[
    Annotated[WebInteraction, Tag("web")]
    | Annotated[EmailInteraction, Tag("email")]
    | Annotated[PhoneInteraction, Tag("phone")]
    | Annotated[StoreInteraction, Tag("store")]
    | Annotated[OtherInteraction, Tag("other")],
    Discriminator(_tag),
]
INTERACTION: TypeAdapter[
    WebInteraction | EmailInteraction | PhoneInteraction | StoreInteraction | OtherInteraction
] = TypeAdapter(Interaction)
#: The model of each typed channel.
MODELS: dict[str, type[Envelope]] = {
    "web": WebInteraction,
    "email": EmailInteraction,
    "phone": PhoneInteraction,
    "store": StoreInteraction,
}
