"""A webhook: CloudEvents 1.0 in the body, signed as Standard Webhooks 1.0.0 say."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from uuid import UUID

from pipeline.alerts.answers import Answer
from pipeline.alerts.destinations.http_sender import (
    HttpSender,
    as_json,
    cloud_event,
    endpoint_of,
)
from pipeline.alerts.safe_http import SafeHttp
from pipeline.alerts.secret_source import read_secret
from pipeline.errors import SettingsError
from schemas.alerts import Webhook
from schemas.notification import Notification

_PREFIX = "whsec_"
#: Bytes of a signing secret, by the standard.
_SHORTEST, _LONGEST = 24, 64


class WebhookSender(HttpSender):
    """Speaks to one webhook.

    Args:
        destination: Its ``secret_from`` holds one secret, or several with white space between;
            each signs, so that receiver and sender can change theirs at different times.
        http: Sends.

    Raises:
        SettingsError: A secret or the address is missing or cannot be used.
    """

    def __init__(self, destination: Webhook, http: SafeHttp) -> None:
        super().__init__(endpoint_of(destination), destination.timeout.total_seconds(), http)
        self._texts = read_secret(destination.secret_from, destination.id).get_secret_value()
        self._keys = [_key(text, destination) for text in self._texts.split()]

    async def send(self, notification: Notification, delivery: UUID) -> Answer:
        """Hand over a notification once; see ``Sender``."""
        body = as_json(cloud_event(notification, delivery))
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            **signed(self._keys, f"msg_{delivery.hex}", int(time.time()), body),
        }
        return await self.http.post(
            self.endpoint, body, headers, timeout=self.timeout, secrets=self._texts.split()
        )


def signed(keys: list[bytes], message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a body.

    Args:
        keys: Each signs.
        message: Id of the message, the same in every try, for receivers to tell repeats.
        timestamp: Seconds since 1970, of this try.
        body: What is sent, byte for byte.
    """
    content = b"%s.%d.%s" % (message.encode(), timestamp, body)
    signatures = (
        base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys
    )
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _key(secret: str, destination: Webhook) -> bytes:
    where = f"destination {destination.id}: {destination.secret_from}"
    if not secret.startswith(_PREFIX):
        raise SettingsError(f"{where} must hold secrets that begin with {_PREFIX}")
    try:
        # a secret that lacks its padding is read by all libraries of the standard
        text = secret.removeprefix(_PREFIX).rstrip("=")
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(f"{where}: what follows {_PREFIX} is not base64") from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise SettingsError(
            f"{where}: a signing secret has {_SHORTEST} to {_LONGEST} bytes, this one {len(key)}"
        )
    return key
