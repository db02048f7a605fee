"""A sample notification, for people who try whether a destination is reached."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from schemas.notification import Notification, Told

#: Route and rule of samples; a catalog can have neither, ids have no dots.
SAMPLE = "touchline.test"


def sample(
    alert: UUID, action: Literal["trigger", "resolve"], destination: str, now: datetime
) -> Notification:
    """Return a sample notification, as mild as there are.

    Args:
        alert: Identity of the alert; a resolve needs that of its trigger.
        action: The trigger comes first, then the resolve.
        destination: Whom it is for.
        now: When it is.
    """
    resolved = action == "resolve"
    said = "This is a sample. Nothing happened to any customer."
    moment = Told(
        moment_id=uuid4(),
        status="resolved" if resolved else "open",
        rule=SAMPLE,
        severity="low",
        customer_key="sample",
        segment="",
        touchpoint=SAMPLE,
        channel="web",
        subject="",
        text=said,
        cause_at=now,
        occurred_at=now,
    )
    return Notification(
        alert_id=alert,
        sequence=2 if resolved else 1,
        action=action,
        route=SAMPLE,
        group={"rule": SAMPLE},
        kind="pain",
        severity="low",
        owner="",
        title=f"Touchline reaches {destination}",
        text=said,
        count=1,
        open=0 if resolved else 1,
        customers=["sample"],
        moments=[moment],
        moment_ids=[moment.moment_id],
        opened_at=now,
        changed_at=now,
        test=True,
    )
