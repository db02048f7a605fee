"""Slack, Teams, mail and whatever else the library Apprise reaches.

Apprise sends by itself, with blocking calls: each in a thread of ours, with a deadline. It reads no
configuration and no environment for it; what it logs goes nowhere, since it can hold addresses.
"""

from __future__ import annotations

import asyncio
import logging
import re
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import apprise
from apprise.plugins import url_to_dict
from apprise.utils.parse import parse_urls

from pipeline.alerts.addresses import refusal
from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.secret_source import read_secret
from pipeline.alerts.wording import lines, one_line
from pipeline.errors import SettingsError
from pipeline.threads import in_thread
from schemas.alerts import Apprise
from schemas.notification import Notification

#: Schemas that POST anything to any host: a webhook does that here, with the address checked.
_GENERIC = frozenset({"json", "xml", "form", "apprise"})
#: Schemas that reach this machine or its network's logs; others of this kind have no host at all.
_LOCAL = frozenset({"syslog", "rsyslog", "dbus", "growl"})
#: Sends that hang at a time; one more and the service counts as down.
_MOST_HANGING = 4
#: How Apprise's modules write the HTTP status of a refusal.
_STATUS = re.compile(r"\berror=(\d{3})\b")
_TYPES = {
    "low": apprise.NotifyType.INFO,
    "medium": apprise.NotifyType.WARNING,
    "high": apprise.NotifyType.FAILURE,
    "critical": apprise.NotifyType.FAILURE,
}


class AppriseSender:
    """Speaks to one service through Apprise.

    Args:
        destination: Its ``url_from`` holds one Apprise URL.

    Raises:
        SettingsError: The URL is missing, not understood, or of a kind that is refused.
    """

    def __init__(self, destination: Apprise) -> None:
        _silence()
        self._timeout = destination.timeout.total_seconds()
        self._updates = destination.updates
        self._service = _service(destination, self._timeout)
        self._name = one_line(str(self._service.service_name), 60)
        self._hanging = 0

    async def send(self, notification: Notification, delivery: UUID) -> Answer:
        """Hand over a notification once; see ``Sender``.

        Updates are left out unless the destination wants them; those that escalate are sent.
        """
        if notification.action == "update" and not (self._updates or notification.escalated):
            return Answer(detail="updates are not sent there")
        if self._hanging >= _MOST_HANGING:
            raise DeliveryError(f"{self._name}: {self._hanging} tries hang")
        self._hanging += 1
        sending = asyncio.ensure_future(in_thread(lambda: self._notify(notification)))
        sending.add_done_callback(self._ended)
        try:
            taken, status = await asyncio.wait_for(asyncio.shield(sending), self._timeout)
        except asyncio.TimeoutError:
            raise DeliveryError(f"{self._name}: no answer within {self._timeout:g} s") from None
        except Exception as error:
            # its text can hold the address
            raise DeliveryError(f"{self._name}: {type(error).__name__}") from None
        if not taken:
            raise DeliveryError(
                f"{self._name}: not taken{f' (HTTP {status})' if status else ''}", status=status
            )
        return Answer(detail=f"{self._name} took it")

    async def close(self) -> None:
        """Nothing to wait for: its threads end with the process."""

    def _ended(self, sending: asyncio.Future[tuple[bool, int]]) -> None:
        self._hanging -= 1
        if not sending.cancelled():
            sending.exception()  # seen, also where nobody waits any more

    def _notify(self, notification: Notification) -> tuple[bool, int]:
        """Send; blocking.

        Returns:
            Whether it was taken, and the HTTP status of the refusal or 0.
        """
        services = apprise.Apprise(asset=self._service.asset)
        services.add(self._service)
        result = services.notify(
            body="\n".join(_body(notification)) or notification.action,
            title=one_line(_title(notification), 250),
            notify_type=_type(notification),
            body_format=apprise.NotifyFormat.TEXT,
        )
        if result:
            return True, 0
        found = _STATUS.findall(" ".join(entry.message for entry in result.logs()))
        return False, int(found[-1]) if found else 0


def _title(notification: Notification) -> str:
    marks = {"acknowledge": "[Acknowledged] ", "resolve": "[Resolved] "}
    return ("[Test] " if notification.test else "") + (
        marks.get(notification.action, "") + notification.title
    )


def _body(notification: Notification) -> list[str]:
    found = lines(notification.text)
    if notification.acknowledged_by:
        found.append(f"Acknowledged by {one_line(notification.acknowledged_by)}")
    if notification.link:
        found.append(one_line(notification.link, 500))
    return found


def _type(notification: Notification) -> apprise.NotifyType:
    if notification.action == "resolve" or notification.kind == "glory":
        return apprise.NotifyType.SUCCESS
    if notification.action == "acknowledge":
        return apprise.NotifyType.INFO
    return _TYPES[notification.severity]


def _service(destination: Apprise, timeout: float) -> Any:
    """Return what Apprise makes of the destination's URL, made safer."""
    where = f"destination {destination.id}: {destination.url_from}"
    url = read_secret(destination.url_from, destination.id).get_secret_value()
    if len(parse_urls(url)) > 1:
        raise SettingsError(f"{where} holds several URLs (fix: a destination for each)")
    tokens = url_to_dict(url)
    if not tokens:
        raise SettingsError(f"{where} holds no URL that Apprise understands")
    schema = str(tokens["schema"]).lower()
    if why := _refused(schema):
        raise SettingsError(f"{where}: {schema}:// {why}")
    asset = apprise.AppriseAsset(
        app_id="Touchline",
        app_desc="Touchline",
        app_url="",
        async_mode=False,  # its threads would keep the process; ours do not
        service_timeout=0,  # ours is the deadline
        http_redirects=False,
        pgp_autogen=False,
        pem_autogen=False,
        allow_templates=False,
        language="en",
    )
    try:
        # not suppressed: it would log all that is in the URL
        service = apprise.Apprise.instantiate(tokens, asset=asset, suppress_exceptions=False)
    except Exception:
        service = None  # whatever a module raises, its text can hold the URL
    if service is None:
        raise SettingsError(f"{where} is not complete, or Apprise lacks what {schema}:// needs")
    _harden(service, where, timeout)
    return service


def _refused(schema: str) -> str | None:
    """Say why a schema is refused; None when it is not."""
    if schema in _GENERIC or schema.removesuffix("s") in _GENERIC:
        return "reaches any host (fix: a destination of type webhook, whose address is checked)"
    module = apprise.NotificationManager()[schema]
    # what code in this process added to Apprise has no host either, and is meant
    hostless = "{schema}://" in module.templates and module.__module__.startswith("apprise.plugins")
    if schema in _LOCAL or hostless:
        return "stays on this machine (fix: a destination of type file or stdout)"
    return None


def _harden(service: Any, where: str, timeout: float) -> None:
    """Take from a service what its URL could ask for: other certificates, other hosts."""
    if not service.verify_certificate:
        raise SettingsError(f"{where}: certificates are always verified (fix: drop verify=no)")
    service.redirects = False
    service.socket_connect_timeout = service.socket_read_timeout = timeout
    try:
        host = str(ip_address((service.host or "").strip("[]").partition("%")[0]))
    except ValueError:
        return  # a name, or a token that stands where hosts do
    if why := refusal(host, allow_private=True, allow_loopback=True):
        raise SettingsError(f"{where}: its address is refused: {why}")


def _silence() -> None:
    """Keep what Apprise and its HTTP client log away from our logs: addresses with tokens."""
    found = logging.getLogger("apprise")
    found.propagate = False  # it needs its records itself, see _notify
    if not found.handlers:
        found.addHandler(logging.NullHandler())  # with none at all they go to standard error
    for name in ("urllib3", "requests", "requests_oauthlib"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.ERROR))
