"""What people order of the alerter, from a command: left in the journal, taken up within a second.

The alerter is the only one who changes alerts; a command says what is wanted and waits a little for
it to be taken up.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from datetime import datetime, timezone
from time import monotonic, sleep
from uuid import UUID, uuid4

from pipeline.alerts.deliveries import Delivery
from pipeline.alerts.journal import Journal
from pipeline.alerts.state import Alert, Order, OrderAction
from pipeline.errors import RejectedInput

#: Seconds that a command waits for the alerter.
WAIT_SECONDS = 5.0


class NotFound(RejectedInput):
    """There is no such alert, or more than one."""


def order(action: OrderAction, by: str | None, reason: str = "") -> Order:
    """Return an order to be filled in.

    Args:
        action: What is ordered.
        by: Who orders; who is logged in when None.
        reason: Why.
    """
    return Order(uuid4(), action, datetime.now(timezone.utc), by=by or _user(), reason=reason)


def open_alert(journal: Journal, name: str) -> Alert:
    """Return the open alert of a name.

    Args:
        journal: The journal.
        name: Id of the alert or of one of its moments, or a beginning of at least 8 characters.

    Raises:
        NotFound: There is none, more than one, or it is closed.
    """
    wanted = name.strip().lower()
    if len(wanted) < 8:
        raise NotFound(f"{name!r} is too short (fix: at least 8 characters of the id)")
    found = journal.alerts(journal.named(wanted))
    if not found:
        raise NotFound(
            f"no alert or alerted moment begins with {name!r} (fix: `touchline alerts list`)"
        )
    standing = [alert for alert in found if alert.closed_at is None]
    if not standing:
        raise NotFound(f"the alert {found[0].alert_id} is closed: there is nothing to acknowledge")
    if len(standing) > 1:
        ids = ", ".join(str(alert.alert_id) for alert in standing[:5])
        raise NotFound(f"{name!r} is the beginning of several: {ids} (fix: write more of it)")
    return standing[0]


def leave(journal: Journal, orders: Iterable[Order], wait: float = WAIT_SECONDS) -> bool:
    """Leave orders for the alerter and wait for it.

    Returns:
        Whether it took all of them up; otherwise it will when it runs.
    """
    asked = list(orders)
    left = {item.order_id for item in asked}
    journal.ask(asked)
    deadline = monotonic() + wait
    while left & _asked(journal):
        if monotonic() > deadline:
            return False
        sleep(0.1)
    return True


def dead_letters(journal: Journal, wanted: Order) -> list[Delivery]:
    """Return what an order to deliver again wants, but nothing behind what was sent since.

    Args:
        journal: The journal.
        wanted: Says of which destination and alert.
    """
    found = journal.deliveries("dead", destination=wanted.destination, alert=wanted.alert_id)
    sent: dict[tuple[UUID, str], int] = {}
    for item in found:
        if item.status in ("sent", "pending"):
            sent[item.alert_id, item.destination] = item.sequence
    return [
        item
        for item in found
        if item.status in ("dead", "skipped")
        and item.sequence > sent.get((item.alert_id, item.destination), 0)
    ]


def _asked(journal: Journal) -> set[UUID]:
    return {item.order_id for item in journal.orders("asked")}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return "unknown"
