"""An alert in words: title and text of a notification, for the person who can mend it."""

from __future__ import annotations

from datetime import datetime, timezone

from pipeline.alerts.routing import Routing
from pipeline.alerts.state import Alert
from schemas.catalog import Catalog
from schemas.notification import MOST_DESCRIBED, Action, Notification, Told
from schemas.rules import STRIKES


class Wording:
    """Says things with the names that the catalog has for them.

    Args:
        catalog: The catalog.
        routing: Its routes.
    """

    def __init__(self, catalog: Catalog, routing: Routing) -> None:
        self._routing = routing
        self._rules = {rule.id: rule.name for rule in catalog.rules}
        self._rules[STRIKES] = "Three strikes"
        self._touchpoints = {item.id: item.name for item in catalog.touchpoints}
        self._channels = {item.id: item.name for item in catalog.channels}

    def notification(
        self, alert: Alert, action: Action, sequence: int, now: datetime
    ) -> Notification:
        """Return what is to be told of an alert now, but for customers' last touchpoints."""
        owner = ", ".join(alert.owners)
        shown = alert.recent if action == "update" and alert.recent else alert.first
        linked = [
            told.model_copy(
                update={"link": self._routing.link(alert.route, told, owner, alert.alert_id)}
            )
            for told in shown
        ]
        link = self._routing.link(alert.route, alert.first[0], owner, alert.alert_id)
        customers = list(dict.fromkeys(told.customer_key for told in alert.first))
        return Notification(
            alert_id=alert.alert_id,
            sequence=sequence,
            action=action,
            route=alert.route,
            group=alert.group,
            kind=alert.kind,
            severity=alert.severity,
            owner=owner,
            title=self._title(alert),
            text="",
            count=alert.count,
            open=alert.open,
            customers=customers,
            moments=linked,
            moment_ids=list(alert.fresh),
            opened_at=alert.opened_at,
            changed_at=now,
            escalated=alert.escalated_at is not None,
            summary=alert.summary,
            acknowledged_by=alert.acknowledged_by,
            link=link,
        )

    def with_text(
        self, notification: Notification, lately: dict[str, list[tuple[str, str]]]
    ) -> Notification:
        """Return a notification with its text.

        Args:
            notification: The notification.
            lately: Last touchpoints of its customers, as (touchpoint, channel), latest last.
        """
        moments = [
            told.model_copy(
                update={
                    "last_touchpoints": [
                        f"{self._touchpoint(touchpoint)} ({self._channel(channel)})"
                        for touchpoint, channel in lately.get(told.customer_key, ())
                    ]
                }
            )
            for told in notification.moments
        ]
        filled = notification.model_copy(update={"moments": moments})
        return filled.model_copy(update={"text": self._text(filled)})

    def _title(self, alert: Alert) -> str:
        told = alert.first[0]
        rule = self._rules.get(told.rule, told.rule)
        if alert.summary:
            moments = "moment" if alert.count == 1 else "moments"
            what = f"{alert.count} {moments} of {alert.kind} while nobody was told"
        elif alert.count == 1:
            at = f"{self._touchpoint(told.touchpoint)} ({self._channel(told.channel)})"
            what = f"{rule} at {at}"
        elif "rule" in alert.group:
            what = f"{rule}, {alert.count} times"
        else:
            what = f"{alert.count} moments of {alert.kind}"
        return what

    def _text(self, notification: Notification) -> str:
        lines = []
        if notification.action == "resolve":
            times = "It is" if notification.count == 1 else f"All {notification.count} are"
            lines.append(f"{times} mended or turned out to be none.")
        elif notification.action == "acknowledge":
            lines.append(f"{notification.acknowledged_by or 'Somebody'} sees to it.")
        elif notification.count > 1:
            lines.append(
                f"{notification.count} moments since {_at(notification.opened_at)}, "
                f"{notification.open} open, of {_count(notification)} customers:"
            )
        for told in notification.moments:
            lines += self._lines(told)
        lines.append(f"Owner: {notification.owner}")
        if notification.link:
            lines.append(notification.link)
        return "\n".join(lines)

    def _lines(self, told: Told) -> list[str]:
        at = f"{self._touchpoint(told.touchpoint)}, {self._channel(told.channel)}"
        lines = [f"- {told.text}", f"  {at}; since {_at(told.cause_at)}"]
        if told.due_at is not None:
            lines.append(
                f"  {f'{told.promise}: due' if told.promise else 'Due'} {_at(told.due_at)}"
            )
        if told.last_touchpoints:
            lines.append(f"  Last: {' > '.join(told.last_touchpoints)}")
        lines.append(f"  Customer {told.customer_key}")
        return lines

    def _touchpoint(self, name: str) -> str:
        return self._touchpoints.get(name, name)

    def _channel(self, name: str) -> str:
        return self._channels.get(name, name)


def _count(notification: Notification) -> str:
    shown = len(notification.customers)
    return str(shown) if notification.count <= MOST_DESCRIBED else f"{shown} or more"


def _at(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
