"""What Alertmanager and PagerDuty get."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pipeline.alerts.answers import DeliveryError
from pipeline.alerts.destinations.alertmanager import alert
from pipeline.alerts.destinations.opening import open_sender
from pipeline.alerts.destinations.pagerduty import event
from schemas.alerts import Alertmanager, PagerDuty
from tests.receivers import (
    NAME,
    NOON,
    Receiver,
    check,
    client,
    notification,
    sent,
)

KEY = "0123456789abcdef0123456789abcdef"

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
    monkeypatch.setenv("TOKEN", "bearer-of-the-alertmanager")
    monkeypatch.setenv("KEY", KEY)


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
            made = (alertmanager, pagerduty)
            return [repr(open_sender(one(f"https://{NAME}"), http)) for one in made]

    for text in asyncio.run(run()):
        assert not any(secret in text for secret in (KEY, "bearer"))
