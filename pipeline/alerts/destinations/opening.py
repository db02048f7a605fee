"""From a destination of the catalog to what speaks to it."""

from __future__ import annotations

from pipeline.alerts.answers import Sender
from pipeline.alerts.destinations.alertmanager import AlertmanagerSender
from pipeline.alerts.destinations.file_sender import FileSender
from pipeline.alerts.destinations.pagerduty import PagerDutySender
from pipeline.alerts.destinations.stdout import StdoutSender
from pipeline.alerts.destinations.webhook import WebhookSender
from pipeline.alerts.safe_http import SafeHttp
from schemas.alerts import Alertmanager, Apprise, Destination, File, PagerDuty, Webhook


def open_sender(destination: Destination, http: SafeHttp) -> Sender:
    """Return the sender of a destination; its secrets are read now.

    Args:
        destination: As the catalog has it.
        http: Shared by all senders; whoever made it closes it, after the senders.

    Raises:
        SettingsError: A secret is missing, or what was configured cannot work.
    """
    if isinstance(destination, Webhook):
        return WebhookSender(destination, http)
    if isinstance(destination, Alertmanager):
        return AlertmanagerSender(destination, http)
    if isinstance(destination, PagerDuty):
        return PagerDutySender(destination, http)
    if isinstance(destination, Apprise):
        # some 150 modules, which nobody else needs
        from pipeline.alerts.destinations.apprise_sender import AppriseSender

        return AppriseSender(destination)
    if isinstance(destination, File):
        return FileSender(destination)
    return StdoutSender(destination)
