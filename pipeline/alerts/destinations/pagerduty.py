"""PagerDuty: Events API v2. An alert is one incident there, by its ``dedup_key``."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pipeline.alerts.answers import Answer
from pipeline.alerts.destinations.http_sender import HttpSender, as_json, web_link
from pipeline.alerts.safe_http import SafeHttp, endpoint
from pipeline.alerts.secret_source import read_secret
from pipeline.alerts.wording import one_line
from schemas.alerts import PagerDuty
from schemas.notification import Notification

#: Longest summary that PagerDuty takes; it cuts nothing, it refuses.
_SUMMARY = 1_024
_ACTIONS = {
    "trigger": "trigger",
    "update": "trigger",  # with the dedup_key of an open incident it adds to that
    "acknowledge": "acknowledge",
    "resolve": "resolve",
}
_SEVERITIES = {"low": "info", "medium": "warning", "high": "error", "critical": "critical"}
#: Accepted. Anything else, 200 of a page in between too, is none of PagerDuty's.
_TAKEN = (202,)


class PagerDutySender(HttpSender):
    """Speaks to one integration of PagerDuty.

    Args:
        destination: Its ``key_from`` holds the integration key.
        http: Sends.

    Raises:
        SettingsError: The key is missing, or the address cannot be used.
    """

    def __init__(self, destination: PagerDuty, http: SafeHttp) -> None:
        to = endpoint(
            destination.url,
            destination.id,
            allow_private=destination.allow_private,
            allow_loopback_http=destination.allow_loopback_http,
        )
        super().__init__(to, destination.timeout.total_seconds(), http)
        self._key = read_secret(destination.key_from, destination.id).get_secret_value()

    async def send(self, notification: Notification, delivery: UUID) -> Answer:
        """Hand over a notification once; see ``Sender``. Repeats are one incident there."""
        return await self.http.post(
            self.endpoint,
            as_json(event(notification, self._key)),
            {"Content-Type": "application/json"},
            timeout=self.timeout,
            taken=_TAKEN,
            secrets=(self._key,),
        )


def event(notification: Notification, key: str) -> dict[str, Any]:
    """Return a notification as an event.

    Args:
        notification: What to say.
        key: The integration key.
    """
    action = _ACTIONS[notification.action]
    found: dict[str, Any] = {
        "routing_key": key,
        "event_action": action,
        "dedup_key": str(notification.alert_id),
    }
    if action != "trigger":
        return found
    found["client"] = "Touchline"
    found["payload"] = _payload(notification)
    if link := web_link(notification.link):
        found["client_url"] = link
        found["links"] = [{"href": link, "text": "Open"}]
    return found


def _payload(notification: Notification) -> dict[str, Any]:
    first = notification.moments[0] if notification.moments else None
    rule = notification.group.get("rule") or (first.rule if first else "")
    touchpoint = notification.group.get("touchpoint") or (first.touchpoint if first else "")
    payload = {
        "summary": one_line(notification.title, _SUMMARY) or "Touchline",
        "source": "touchline",
        "severity": _SEVERITIES[notification.severity],
        "timestamp": notification.changed_at.isoformat(),
        "component": touchpoint,
        "group": notification.route,
        "class": rule,
        "custom_details": {
            "text": notification.text,
            "owner": notification.owner,
            "moments": notification.count,
            "open": notification.open,
            "kind": notification.kind,
            "customers": notification.customers,
            "in_common": notification.group,
            "latest": [moment.text for moment in notification.moments],
            "escalated": notification.escalated,
            "test": notification.test,
        },
    }
    return {name: value for name, value in payload.items() if value != ""}
