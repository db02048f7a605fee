"""What can still become of an alert: joined, told of by itself, escalated."""

from __future__ import annotations

from datetime import datetime

from pipeline.alerts.state import Alert
from schemas.alerts import Route


def is_hot(route: Route | None, alert: Alert, now: datetime) -> bool:
    """Return whether an alert can be joined, or do something by itself."""
    if alert.closed_at is not None or route is None:
        return False
    return not is_over(alert, now) or acts(route, alert)


def acts(route: Route | None, alert: Alert) -> bool:
    """Return whether there is something an open alert will do, however long that takes."""
    if alert.closed_at is not None or route is None:
        return False
    return bool(alert.fresh) or escalates(route, alert)


def escalates(route: Route, alert: Alert) -> bool:
    """Return whether an alert is told to others when its term is over."""
    return (
        route.escalate is not None
        and alert.escalated_at is None
        and alert.acknowledged_at is None
        and alert.closed_at is None
    )


def is_over(alert: Alert, now: datetime) -> bool:
    """Return whether nothing joins an alert any more."""
    return alert.joins_until <= now
