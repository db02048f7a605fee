"""What webhooks get, and how they know that it is from us."""

from __future__ import annotations

import asyncio
import base64
from uuid import UUID

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.destinations.opening import open_sender
from pipeline.errors import SettingsError
from schemas.alerts import Webhook
from schemas.notification import Notification
from tests.receivers import DELIVERY, NAME, Receiver, check, client, notification, receiving, sent

SECRETS = [f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2, 3)]

#: CloudEvents 1.0, JSON format: required attributes and their types.
CLOUD_EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
        "type": {"type": "string", "minLength": 1},
        "subject": {"type": "string", "minLength": 1},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "data": {"type": "object"},
    },
    "additionalProperties": False,
    "propertyNames": {"pattern": "^[a-z0-9]{1,20}$"},
}


def webhook(url: str) -> Webhook:
    return Webhook(
        type="webhook", id="desk", url=f"{url}/in", secret_from="env:DESK", allow_private=True
    )


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK", SECRETS[0])


def test_a_webhook_gets_a_signed_cloud_event() -> None:
    receiver = Receiver(status=204, text="")
    told = notification()
    assert sent([told], receiver, webhook) == [Answer(204, "")]
    (got,) = receiver.got
    assert got.path == "/in"
    assert got.headers["Content-Type"].startswith("application/cloudevents+json")
    assert got.headers["webhook-id"] == f"msg_{DELIVERY.hex}"
    document = Verifier(SECRETS[0]).verify(got.body, got.headers)
    check(document, CLOUD_EVENT)
    assert document["id"] == str(DELIVERY)
    assert document["type"] == "touchline.alert.trigger.v1"
    assert document["subject"] == str(told.alert_id)
    assert Notification.model_validate(document["data"]) == told


def test_a_webhook_that_was_tampered_with_is_found_out() -> None:
    receiver = Receiver()
    sent([notification()], receiver, webhook)
    (got,) = receiver.got
    headers = {name.lower(): value for name, value in got.headers.items()}
    forged = [
        (got.body.replace(b"high", b"low "), headers, SECRETS[0]),
        (got.body, {**headers, "webhook-id": "msg_other"}, SECRETS[0]),
        (
            got.body,
            {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)},
            SECRETS[0],
        ),
        (got.body, headers, SECRETS[1]),
    ]
    for body, changed, secret in forged:
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            Verifier(secret).verify(body, changed)


def test_a_retry_has_the_same_id_and_another_delivery_another() -> None:
    receiver = Receiver()

    async def run() -> None:
        async with receiving(receiver), client() as http:
            sender = open_sender(webhook(f"https://{NAME}:{receiver.port}"), http)
            for delivery in (DELIVERY, DELIVERY, UUID(int=5)):
                await sender.send(notification(), delivery)

    asyncio.run(run())
    first, again, other = (got.headers["webhook-id"] for got in receiver.got)
    assert first == again != other


def test_several_secrets_all_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    # one without its padding, as some tools print them
    monkeypatch.setenv("DESK", f"{SECRETS[0]} {SECRETS[1].rstrip('=')}\n")
    receiver = Receiver()
    sent([notification()], receiver, webhook)
    (got,) = receiver.got
    assert len(got.headers["webhook-signature"].split()) == 2
    for secret in SECRETS[:2]:
        Verifier(secret).verify(got.body, got.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRETS[2]).verify(got.body, got.headers)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SECRETS[0].removeprefix("whsec_"), "begin with whsec_"),
        ("whsec_not*base64", "not base64"),
        ("whsec_c2hvcnQ=", "24 to 64 bytes, this one 5"),
        (f"{SECRETS[0]} whsec_{base64.b64encode(b'x' * 65).decode()}", "this one 65"),
        ("  ", "is empty"),
    ],
)
def test_a_signing_secret_that_cannot_be_used(
    text: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK", text)
    with pytest.raises(SettingsError, match=says) as caught:
        sent([], Receiver(), webhook)
    assert "env:DESK" in str(caught.value)
    assert not text.strip() or text.removeprefix("whsec_") not in str(caught.value)


def test_an_address_can_be_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver(status=500, text="no /in/s3cret-of-the-hook")

    def made(url: str) -> Webhook:
        monkeypatch.setenv("ADDRESS", f"{url}/in/s3cret-of-the-hook")
        return Webhook(
            type="webhook",
            id="desk",
            url_from="env:ADDRESS",
            secret_from="env:DESK",
            allow_private=True,
        )

    (answer,) = sent([notification()], receiver, made)
    assert isinstance(answer, DeliveryError)
    assert receiver.got[0].path == "/in/s3cret-of-the-hook"
    assert "s3cret" not in str(answer)


def test_the_secret_is_not_in_the_repr_of_a_sender() -> None:
    async def run() -> str:
        async with client() as http:
            return repr(open_sender(webhook(f"https://{NAME}"), http))

    assert SECRETS[0].removeprefix("whsec_") not in asyncio.run(run())
