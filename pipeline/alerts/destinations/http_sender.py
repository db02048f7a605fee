"""What senders that speak HTTP have in common."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from pipeline.alerts.safe_http import Endpoint, SafeHttp, endpoint
from pipeline.alerts.secret_source import read_secret
from schemas.alerts import HttpDestination
from schemas.notification import Notification


class HttpSender:
    """Base of senders that speak HTTP; connections belong to the ``SafeHttp`` they share.

    Args:
        endpoint: Where to.
        timeout: Seconds for everything.
        http: Sends.
    """

    def __init__(self, endpoint: Endpoint, timeout: float, http: SafeHttp) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self.http = http

    async def close(self) -> None:
        """Nothing to let go of: connections are of the ``SafeHttp``."""


def endpoint_of(destination: HttpDestination) -> Endpoint:
    """Return where a destination is, reading its address if that is secret.

    Raises:
        SettingsError: See ``endpoint`` and ``read_secret``.
    """
    url = destination.url
    if url is None:
        url = read_secret(str(destination.url_from), destination.id).get_secret_value()
    return endpoint(
        url,
        destination.id,
        allow_private=destination.allow_private,
        allow_loopback_http=destination.allow_loopback_http,
    )


def web_link(link: str) -> str | None:
    """Return a link that receivers accept as one; None for anything else."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    return link if parts.scheme in ("https", "http") and parts.hostname else None


def cloud_event(notification: Notification, delivery: UUID) -> dict[str, Any]:
    """Return a notification as a CloudEvent (version 1.0, JSON format), its data structured.

    ``id`` is that of the delivery and the same in every try; ``subject`` is the alert.
    """
    return {
        "specversion": "1.0",
        "id": str(delivery),
        "source": f"/touchline/routes/{notification.route}",
        "type": f"touchline.alert.{notification.action}.v1",
        "subject": str(notification.alert_id),
        "time": notification.changed_at.isoformat(),
        "datacontenttype": "application/json",
        "data": notification.model_dump(mode="json"),
    }


def as_json(document: Any) -> bytes:
    """Return a document as JSON."""
    return orjson.dumps(document)
