"""Routes and destinations: who is told of a moment, when, and how. Part of the catalog.

A moment goes to the first route that matches it. The route gathers moments into alerts, holds them
back in quiet hours, and says who is told next when nobody acts. Secrets never stand in a catalog:
``…_from`` names the environment variable or the file that holds one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from schemas.entry import Duration, Entry, as_list
from schemas.rules import Severity, placeholders
from schemas.text import Label, Name

#: Where a secret is: ``env:NAME`` or ``file:/run/secrets/name``.
SecretSource = Annotated[
    str, StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:.{1,512})$")
]
#: What the link of a route can name in braces.
LINK_FIELDS = ("alert_id", "moment_id", "customer", "rule", "owner", "touchpoint", "subject")
_Names = Annotated[list[Name], BeforeValidator(as_list)]
_Labels = Annotated[list[Label], BeforeValidator(as_list)]
#: What moments can have in common. ``moment``: nothing, each is an alert of its own.
Common = Literal[
    "rule", "owner", "touchpoint", "channel", "segment", "severity", "customer", "subject", "moment"
]
_RULE_AND_OWNER: list[Common] = ["rule", "owner"]
_RULE_AND_CUSTOMER: list[Common] = ["rule", "customer"]


class DestinationBase(Entry):
    """What every destination says."""

    id: Name
    per_minute: int = Field(120, ge=1, le=60_000, description="Notifications a minute at most.")
    timeout: Duration = Field(timedelta(seconds=10), description="Longest wait for an answer.")
    give_up: Duration = Field(
        timedelta(days=1), description="So long a notification is tried; then it is a dead letter."
    )


class HttpDestination(DestinationBase):
    """A destination at an address."""

    url: str | None = Field(None, description="Address, https.")
    url_from: SecretSource | None = Field(None, description="Where the address is, if secret.")
    allow_private: bool = Field(
        False, description="The address may be in a private network (never a link-local one)."
    )
    allow_loopback_http: bool = Field(
        False, description="Plain http to this very machine is allowed."
    )

    @field_validator("url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("https", "http") or not parts.hostname:
                raise ValueError('must look like "https://host/path"')
            if parts.username is not None or parts.password is not None:
                raise ValueError("no user or password in it: use url_from")
        return value

    @model_validator(mode="after")
    def _one_address(self) -> HttpDestination:
        if (self.url is None) == (self.url_from is None):
            raise ValueError("needs either url or url_from")
        return self


class Webhook(HttpDestination):
    """An endpoint that takes CloudEvents, signed by Standard Webhooks."""

    type: Literal["webhook"]
    secret_from: SecretSource = Field(description="Where the signing secret is (whsec_…).")


class Alertmanager(HttpDestination):
    """Prometheus Alertmanager, API v2."""

    type: Literal["alertmanager"]
    token_from: SecretSource | None = Field(None, description="Where the bearer token is.")
    labels: dict[Name, Label] = Field(default_factory=dict, description="Labels of every alert.")


class PagerDuty(DestinationBase):
    """PagerDuty, Events API v2."""

    type: Literal["pagerduty"]
    key_from: SecretSource = Field(description="Where the integration (routing) key is.")
    url: str = Field(
        "https://events.pagerduty.com/v2/enqueue", description="Another address, e.g. of the EU."
    )
    allow_private: bool = Field(False, description="As for a webhook.")
    allow_loopback_http: bool = Field(False, description="As for a webhook.")


class Apprise(DestinationBase):
    """Slack, Teams, mail and whatever else Apprise reaches."""

    type: Literal["apprise"]
    url_from: SecretSource = Field(
        description="Where the Apprise URL is; it holds secrets, so never in the catalog."
    )
    updates: bool = Field(False, description="Whether updates are sent, too.")


class Stdout(DestinationBase):
    """The alerter's standard output, for people who try it."""

    type: Literal["stdout"]


class File(DestinationBase):
    """A file that notifications are appended to, one JSON object a line."""

    type: Literal["file"]
    path: str = Field(min_length=1, description="The file; relative to where the alerter runs.")


Destination = Annotated[
    Webhook | Alertmanager | PagerDuty | Apprise | Stdout | File, Field(discriminator="type")
]


class Escalation(Entry):
    """Who else is told of an alert that stays open and that nobody acknowledges."""

    after: Duration
    to: _Names = Field(min_length=1, description="Destinations.")


class Route(Entry):
    """Which moments go where, how gathered, and when not."""

    id: Name
    kind: Literal["pain", "glory"] = Field("pain", description="Which moments.")
    rule: _Names | None = Field(None, min_length=1, description="Only of these rules.")
    at_least: Severity = Field("low", description="Only as bad as this, or worse.")
    owner: _Labels | None = Field(None, min_length=1, description="Only of these owners.")
    touchpoint: _Names | None = Field(None, min_length=1, description="Only at these.")
    channel: _Names | None = Field(None, min_length=1, description="Only on these.")
    segment: _Labels | None = Field(None, min_length=1, description="Only of these segments.")
    to: _Names = Field(min_length=1, description="Destinations.")
    go_on: bool = Field(False, description="Later routes see the moment, too.")
    group_by: Annotated[list[Common], BeforeValidator(as_list)] = Field(
        _RULE_AND_OWNER,
        min_length=1,
        description="Moments that have this in common are one alert.",
    )
    window: Duration = Field(
        timedelta(minutes=10), description="So long after it was opened moments join an alert."
    )
    update_every: Duration = Field(
        timedelta(minutes=1), description="An alert is updated at most so often."
    )
    cooldown: Duration | None = Field(
        None, description="After an alert, the same again is not told for so long."
    )
    cooldown_by: Annotated[list[Common], BeforeValidator(as_list)] = Field(
        _RULE_AND_CUSTOMER,
        min_length=1,
        description="What makes it the same again.",
    )
    hours: Name | None = Field(
        None, description="Calendar; outside its hours moments wait, and come in a summary."
    )
    urgent: Severity = Field(
        "critical", description="As bad as this, or worse, does not wait for the hours."
    )
    max_age: Duration | None = Field(
        None, description="What happened longer ago is not told, e.g. when history is loaded."
    )
    escalate: Escalation | None = None
    resolved: bool = Field(True, description="Whether to tell that it is mended.")
    link: str | None = Field(
        None, max_length=500, description="Link for the person told, with fields in braces."
    )

    @field_validator("cooldown_by")
    @classmethod
    def _repeats(cls, value: list[Common]) -> list[Common]:
        if "moment" in value:
            raise ValueError("a moment never repeats: name what does, e.g. rule and customer")
        return value

    @field_validator("link")
    @classmethod
    def _known_fields(cls, value: str | None) -> str | None:
        for name in placeholders(value or ""):
            if name not in LINK_FIELDS:
                raise ValueError(f"{{{name}}} is not known (fix: one of {', '.join(LINK_FIELDS)})")
        return value
