"""What webhooks, Alertmanager and PagerDuty get."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.destinations.alertmanager import alert
from pipeline.alerts.destinations.opening import open_sender
from pipeline.alerts.destinations.pagerduty import event
from pipeline.errors import SettingsError
from schemas.alerts import Alertmanager, Destination, PagerDuty, Webhook
from schemas.notification import Notification
from tests.receivers import DELIVERY, NAME, NOON, Receiver, client, notification, receiving

SECRETS = [f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2, 3)]
KEY = "0123456789abcdef0123456789abcdef"

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
#: Alertmanager's API v2, postableAlerts, and what its server checks beyond.
LABELS = {
    "type": "object",
    "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
    "additionalProperties": {"type": "string", "minLength": 1},
}
POSTABLE_ALERTS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "properties": {
            "labels": {**LABELS, "required": ["alertname"]},
            "annotations": LABELS,
            "startsAt": {"type": "string", "format": "date-time"},
            "endsAt": {"type": "string", "format": "date-time"},
            "generatorURL": {"type": "string", "format": "uri"},
        },
        "additionalProperties": False,
    },
}
_TEXT = {"type": "string", "minLength": 1}
#: PagerDuty's Events API v2, as its published OpenAPI document has it.
EVENT = {
    "type": "object",
    "required": ["routing_key", "event_action", "dedup_key"],
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "client": _TEXT,
        "client_url": {"type": "string", "format": "uri"},
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["href"],
                "properties": {"href": {"type": "string", "format": "uri"}, "text": _TEXT},
                "additionalProperties": False,
            },
        },
        "payload": {
            "type": "object",
            "required": ["summary", "severity", "source"],
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": _TEXT,
                "severity": {"enum": ["critical", "warning", "error", "info"]},
                "timestamp": {"type": "string", "format": "date-time"},
                "component": _TEXT,
                "group": _TEXT,
                "class": _TEXT,
                "custom_details": {"type": "object"},
            },
            "additionalProperties": False,
        },
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "additionalProperties": False,
}


def check(document: Any, schema: dict[str, Any]) -> None:
    jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())


def sent(
    told: list[Notification], receiver: Receiver, made: Callable[[str], Destination]
) -> list[Answer | DeliveryError]:
    """Send notifications to a receiver; ``made`` makes the destination of its address."""

    async def run() -> list[Answer | DeliveryError]:
        async with receiving(receiver), client() as http:
            sender = open_sender(made(f"https://{NAME}:{receiver.port}"), http)
            answers: list[Answer | DeliveryError] = []
            for number, one in enumerate(told):
                try:
                    answers.append(await sender.send(one, UUID(int=DELIVERY.int + number)))
                except DeliveryError as error:
                    answers.append(error)
            await sender.close()
            return answers

    return asyncio.run(run())


def webhook(url: str) -> Webhook:
    return Webhook(
        type="webhook", id="desk", url=f"{url}/in", secret_from="env:DESK", allow_private=True
    )


def alertmanager(url: str) -> Alertmanager:
    return Alertmanager(
        type="alertmanager",
        id="am",
        url=url,
        token_from="env:TOKEN",
        labels={"team": "care", "alert_id": "x"},
        allow_private=True,
    )


def pagerduty(url: str) -> PagerDuty:
    return PagerDuty(type="pagerduty", id="pd", key_from="env:KEY", url=url, allow_private=True)


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK", SECRETS[0])
    monkeypatch.setenv("TOKEN", "bearer-of-the-alertmanager")
    monkeypatch.setenv("KEY", KEY)


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


def test_alertmanager_knows_an_alert_from_its_begin_to_its_end() -> None:
    receiver = Receiver(text="")
    told = [
        notification(),
        notification(action="update", sequence=2, severity="critical", owner="Many", count=9),
        notification(action="acknowledge", sequence=3, acknowledged_by="Kim"),
        notification(action="resolve", sequence=4, open=0, changed_at=NOON + timedelta(hours=1)),
    ]
    answers = sent(told, receiver, alertmanager)
    assert [answer.status for answer in answers] == [200] * 4
    posted = [json.loads(got.body) for got in receiver.got]
    for document, got in zip(posted, receiver.got, strict=True):
        check(document, POSTABLE_ALERTS)
        assert got.path == "/api/v2/alerts"
        assert got.headers["Authorization"] == "Bearer bearer-of-the-alertmanager"
    alerts = [document[0] for document in posted]
    labels = {json.dumps(one["labels"], sort_keys=True) for one in alerts}
    assert len(labels) == 1  # else Alertmanager would take them for different alerts
    assert alerts[0]["labels"] == {
        "alertname": "message_unanswered",
        "rule": "message_unanswered",
        "owner": "Care, first line",
        "route": "pains",
        "kind": "pain",
        "team": "care",
        "alert_id": str(told[0].alert_id),
    }
    assert alerts[1]["annotations"]["severity"] == "critical"
    assert alerts[2]["annotations"]["acknowledged_by"] == "Kim"
    now = datetime.now(timezone.utc)
    *firing, ended = [datetime.fromisoformat(one["endsAt"]) for one in alerts]
    assert all(end > now + timedelta(days=29) for end in firing)
    assert ended == NOON + timedelta(hours=1) < now


def test_an_alert_never_ends_in_the_future_or_before_it_began() -> None:
    ahead = notification(action="resolve", opened_at=NOON, changed_at=NOON + timedelta(minutes=5))
    for now in (NOON - timedelta(hours=1), NOON + timedelta(minutes=1)):
        one = alert(ahead, {}, now)
        starts, ends = (datetime.fromisoformat(one[key]) for key in ("startsAt", "endsAt"))
        assert starts <= ends <= now


def test_an_alertmanager_may_be_behind_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/am", "/am/", "/am/api/v2/alerts"):
        receiver = Receiver()
        sent([notification(link="javascript:x")], receiver, lambda url: alertmanager(url + path))  # noqa: B023
        assert receiver.got[0].path == "/am/api/v2/alerts"
        assert "generatorURL" not in json.loads(receiver.got[0].body)[0]


def test_pagerduty_has_one_incident_for_an_alert() -> None:
    receiver = Receiver(status=202, text='{"status":"success","message":"Event processed"}')
    told = [
        notification(),
        notification(action="update", sequence=2, title="x" * 3_000, severity="low", link=""),
        notification(action="acknowledge", sequence=3),
        notification(action="resolve", sequence=4),
    ]
    answers = sent(told, receiver, pagerduty)
    assert [answer.status for answer in answers] == [202] * 4
    events = [json.loads(got.body) for got in receiver.got]
    for one in events:
        check(one, EVENT)
        assert one["routing_key"] == KEY
        assert one["dedup_key"] == str(told[0].alert_id)
    assert [one["event_action"] for one in events] == [
        "trigger",
        "trigger",
        "acknowledge",
        "resolve",
    ]
    payload = events[0]["payload"]
    assert (payload["severity"], payload["class"]) == ("error", "message_unanswered")
    assert (payload["component"], payload["group"]) == ("contact_form", "pains")
    assert events[0]["links"][0]["href"] == "https://desk.example.com/alerts/1"
    assert len(events[1]["payload"]["summary"]) == 1_024
    assert "links" not in events[1]


@pytest.mark.parametrize(
    ("severity", "theirs"),
    [("low", "info"), ("medium", "warning"), ("high", "error"), ("critical", "critical")],
)
def test_severities_of_pagerduty(severity: str, theirs: str) -> None:
    one = event(notification(severity=severity, moments=[], group={}), KEY)
    check(one, EVENT)
    assert one["payload"]["severity"] == theirs


def test_what_pagerduty_refuses() -> None:
    for status, permanent in ((400, True), (429, False), (500, False), (200, False)):
        receiver = Receiver(
            status=status,
            headers={"Retry-After": "30"},
            text=json.dumps({"status": "invalid event", "errors": [f"key {KEY} is wrong"]}),
        )
        (answer,) = sent([notification()], receiver, pagerduty)
        assert isinstance(answer, DeliveryError)
        assert (answer.status, answer.permanent, answer.retry_after) == (status, permanent, 30)
        assert KEY not in str(answer)
        assert "key *** is wrong" in answer.reason


def test_secrets_are_not_in_the_repr_of_a_sender(tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with client() as http:
            made = (webhook, alertmanager, pagerduty)
            return [repr(open_sender(one(f"https://{NAME}"), http)) for one in made]

    for text in asyncio.run(run()):
        assert not any(secret in text for secret in (KEY, SECRETS[0], "bearer"))
