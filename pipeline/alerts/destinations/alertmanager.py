"""Prometheus Alertmanager: API v2, ``POST /api/v2/alerts``.

Alertmanager knows an alert by all of its labels, so none of them may change while it lasts: they
say what the moments of the alert have in common. What can change (severity, owners, how many) is in
the annotations, unless the route groups by it.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from pipeline.alerts.answers import Answer
from pipeline.alerts.destinations.http_sender import HttpSender, as_json, endpoint_of, web_link
from pipeline.alerts.safe_http import Endpoint, SafeHttp
from pipeline.alerts.secret_source import read_secret
from schemas.alerts import Alertmanager
from schemas.notification import Notification

_PATH = "/api/v2/alerts"
#: An alert without an end is over for Alertmanager after its resolve_timeout (5 minutes) because
#: Prometheus says everything anew each minute. We say it once: it stays until we resolve it.
_STAYS = timedelta(days=30)


class AlertmanagerSender(HttpSender):
    """Speaks to one Alertmanager.

    Args:
        destination: Its address is the server's, with or without ``/api/v2/alerts``.
        http: Sends.

    Raises:
        SettingsError: The token or the address is missing or cannot be used.
    """

    def __init__(self, destination: Alertmanager, http: SafeHttp) -> None:
        super().__init__(
            _alerts(endpoint_of(destination)), destination.timeout.total_seconds(), http
        )
        self._labels = destination.labels
        self._token = ""
        if destination.token_from is not None:
            self._token = read_secret(destination.token_from, destination.id).get_secret_value()

    async def send(self, notification: Notification, delivery: UUID) -> Answer:
        """Hand over a notification once; see ``Sender``. Repeats change nothing there."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        body = as_json([alert(notification, self._labels, datetime.now(timezone.utc))])
        return await self.http.post(
            self.endpoint, body, headers, timeout=self.timeout, secrets=(self._token,)
        )


def alert(notification: Notification, labels: dict[str, str], now: datetime) -> dict[str, Any]:
    """Return a notification as an alert.

    Args:
        notification: What to say.
        labels: Of every alert of this destination; those of the alert itself win over them.
        now: An alert that was to end later than that would go on firing.
    """
    starts = min(notification.opened_at, now)
    resolved = notification.action == "resolve"
    ends = max(starts, min(notification.changed_at, now)) if resolved else now + _STAYS
    found = {
        "labels": _labels(notification, labels),
        "annotations": _annotations(notification),
        "startsAt": starts.isoformat(),
        "endsAt": ends.isoformat(),
    }
    if link := web_link(notification.link):
        found["generatorURL"] = link
    return found


def _labels(notification: Notification, labels: dict[str, str]) -> dict[str, str]:
    """Return what is the same in every notification of an alert."""
    group = {name: value for name, value in notification.group.items() if value}
    found = {
        **labels,
        **group,
        "alertname": group.get("rule") or f"touchline_{notification.kind}",
        "route": notification.route,
        "kind": notification.kind,
        "alert_id": str(notification.alert_id),
    }
    return {**found, "test": "true"} if notification.test else found


def _annotations(notification: Notification) -> dict[str, str]:
    found = {
        "summary": notification.title,
        "description": notification.text,
        "severity": notification.severity,
        "owner": notification.owner,
        "count": str(notification.count),
        "open": str(notification.open),
        "acknowledged_by": notification.acknowledged_by,
    }
    return {name: value for name, value in found.items() if value}


def _alerts(found: Endpoint) -> Endpoint:
    path = found.url.path.rstrip("/")
    if path.endswith(_PATH):
        return found
    url = found.url.with_path(f"{path}{_PATH}", keep_query=True)
    return Endpoint(url, found.allow_private, found.allow_loopback)
