"""What an interaction carries beside the envelope, per channel.

Every field is optional: a producer sends what it knows. Fields unknown to the contract are kept.
Nothing here identifies a person; identifiers belong into the envelope's ``identifiers``, which are
hashed before they are stored, and these are not.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.text import Label, Opaque, Seconds, Text

Count = Annotated[int, Field(ge=0, le=1_000_000)]


class Details(BaseModel):
    """Base of the typed details: strict on types, unknown fields kept."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, hide_input_in_errors=True)


class WebDetails(Details):
    """A visit to a site or an app."""

    page_url: Text | None = Field(None, description="Address of the page, without credentials.")
    page_type: Label | None = Field(
        None, description="Kind of page: home, landing, product, category, cart, faq, …"
    )
    referrer: Text | None = Field(None, description="Address the visitor came from.")
    campaign: Label | None = Field(None, description="Campaign that led here.")
    search_terms: Text | None = Field(None, description="What was searched for on the site.")
    product_id: Opaque | None = Field(None, description="Product shown, added or bought.")
    form_id: Label | None = Field(None, description="Form filled in: contact, complaint, …")
    error_code: Label | None = Field(None, description="Error shown to the visitor.")
    http_status: Annotated[int, Field(ge=100, le=599)] | None = Field(
        None, description="HTTP status of the page."
    )
    payment_method: Label | None = Field(None, description="card, bank_transfer, wallet, …")
    device: Label | None = Field(None, description="desktop, mobile, tablet.")
    duration_seconds: Seconds | None = Field(None, description="Time on the page, in seconds.")


class EmailDetails(Details):
    """A message sent to or by a customer, or what its receiver did with it."""

    message_id: Opaque | None = Field(None, description="Identifier of the message.")
    template: Label | None = Field(
        None, description="Kind of message: newsletter, order_confirmation, invoice, …"
    )
    campaign: Label | None = Field(None, description="Campaign the message belongs to.")
    link_url: Text | None = Field(None, description="Link that was followed.")
    bounce_type: Literal["hard", "soft"] | None = Field(
        None, description="Whether the address is gone (hard) or was full or away (soft)."
    )
    machine_open: bool | None = Field(
        None, description="Opened by a mail proxy and not by a person."
    )


class PhoneDetails(Details):
    """A call, or a step of it."""

    call_id: Opaque | None = Field(None, description="Identifier of the call.")
    topic: Label | None = Field(None, description="What the call was about: order, complaint, …")
    queue: Label | None = Field(None, description="Queue the caller waited in.")
    queue_seconds: Seconds | None = Field(None, description="Time waited in the queue, seconds.")
    talk_seconds: Seconds | None = Field(None, description="Time talked, seconds.")
    hold_seconds: Seconds | None = Field(None, description="Time on hold, seconds.")
    menu_path: Label | None = Field(None, description="Keys pressed in the menu, e.g. 1-3-2.")
    agent_id: Opaque | None = Field(None, description="Employee who answered.")
    transfers: Count | None = Field(None, description="Times the caller was passed on.")
    outcome: Literal["resolved", "unresolved", "abandoned", "transferred", "voicemail"] | None = (
        Field(None, description="How the call ended.")
    )


class StoreDetails(Details):
    """A visit to a store, branch or counter."""

    store_id: Opaque | None = Field(None, description="Identifier of the store.")
    register_id: Opaque | None = Field(None, description="Identifier of the till.")
    employee_id: Opaque | None = Field(None, description="Employee who served.")
    product_id: Opaque | None = Field(None, description="Product looked at, bought or returned.")
    receipt_id: Opaque | None = Field(None, description="Identifier of the receipt.")
    payment_method: Label | None = Field(None, description="cash, card, voucher, …")
    visit_reason: Label | None = Field(None, description="buy, help, return, complaint, …")
    wait_seconds: Seconds | None = Field(None, description="Time waited to be served, seconds.")
