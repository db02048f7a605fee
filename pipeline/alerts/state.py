"""What the alerter knows: of moments, of alerts, and what people ordered.

All of it stands in the journal of alerts in ClickHouse (``pipeline.alerts.journal``): memory holds
only what can still act by itself. Each is written whole when it changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from schemas.moment import Status
from schemas.notification import MOST_DESCRIBED, MOST_LISTED, Told
from schemas.rules import SEVERITIES, Severity

#: alerted: it is part of an alert. held: it waits for the end of quiet hours or of a silence.
#: suppressed: nobody is told.
Decision = Literal["alerted", "held", "suppressed"]
#: Why a moment is held or suppressed.
Reason = Literal[
    "",
    "quiet_hours",
    "silenced",
    "cooldown",
    "too_old",
    "closed_before",
    "closed_while_held",
    "route_gone",
]
OrderAction = Literal["acknowledge", "silence", "unsilence", "redeliver"]


@dataclass
class Seen:
    """What one route made of one moment.

    Attributes:
        route: The route.
        revision: Latest revision of the moment that was looked at.
        status: Status of the moment in that revision.
        kind: pain or glory.
        owner: Who is told.
        told: The moment as alerts describe it.
        decision: What was decided.
        reason: Why, where it was held or suppressed.
        decided_at: When.
        alert_id: The alert that it is part of; or was, where it was opened again since.
        alerted_at: When it became part of that.
        until: A held one waits until then.
    """

    route: str
    revision: int
    status: Status
    kind: Literal["pain", "glory"]
    owner: str
    told: Told
    decision: Decision
    reason: Reason
    decided_at: datetime
    alert_id: UUID | None = None
    alerted_at: datetime | None = None
    until: datetime | None = None


@dataclass
class Alert:
    """Moments of one route that people are told of together.

    Attributes:
        route: The route.
        group: What its moments have in common, by name.
        kind: pain or glory.
        severity: The highest of its moments.
        owners: Owners of its moments.
        opened_at: When it was opened.
        joins_until: Moments join it until then.
        sequence: That of the last notification; 0 where there is none yet.
        count: Moments in it so far.
        open: Those among them that are not closed.
        first: The first moments.
        recent: The latest since the last notification.
        fresh: Ids of the moments since the last notification, the first 1,000.
        more: How many there are beyond those.
        destinations: Destinations that were told of it.
        notified_at: When the last trigger or update was decided.
        escalated_at: When it was escalated.
        acknowledged_at: When somebody acknowledged it; by whom.
        closed_at: When its last moment closed.
        summary: Whether its moments were held before.
    """

    alert_id: UUID
    route: str
    group: dict[str, str]
    kind: Literal["pain", "glory"]
    severity: Severity
    opened_at: datetime
    joins_until: datetime
    owners: list[str] = field(default_factory=list)
    sequence: int = 0
    count: int = 0
    open: int = 0
    first: list[Told] = field(default_factory=list)
    recent: list[Told] = field(default_factory=list)
    fresh: list[UUID] = field(default_factory=list)
    more: int = 0
    destinations: list[str] = field(default_factory=list)
    notified_at: datetime | None = None
    escalated_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    closed_at: datetime | None = None
    summary: bool = False

    def add(self, told: Told, owner: str) -> None:
        """Take a moment in."""
        self.count, self.open = self.count + 1, self.open + 1
        if SEVERITIES.index(told.severity) > SEVERITIES.index(self.severity):
            self.severity = told.severity
        if owner not in self.owners:
            self.owners.append(owner)
        if len(self.first) < MOST_DESCRIBED:
            self.first.append(told)
        self.recent = [*self.recent, told][-MOST_DESCRIBED:]
        if len(self.fresh) < MOST_LISTED:
            self.fresh.append(told.moment_id)
        else:
            self.more += 1

    def revise(self, moment: UUID, status: Status) -> None:
        """Take in what became of one of its moments."""
        for described in (self.first, self.recent):
            for place, told in enumerate(described):
                if told.moment_id == moment:
                    described[place] = told.model_copy(update={"status": status})

    def told(self, sequence: int) -> None:
        """Note that everything so far is in a notification."""
        self.sequence = sequence
        self.recent, self.fresh, self.more = [], [], 0


@dataclass
class Order:
    """What a person asked of the alerter.

    Attributes:
        action: What.
        status: asked: not looked at yet. active: a silence that goes on. done.
        by: Who.
        reason: Why.
        made_at: When.
        until: A silence ends then.
        alert_id: Alert to acknowledge or to deliver again.
        target: Silence to end.
        rule: Silenced rule, or empty for any.
        owner: Silenced owner, or empty for any.
        destination: Destination whose dead letters are delivered again, or empty for any.
    """

    order_id: UUID
    action: OrderAction
    made_at: datetime
    status: Literal["asked", "active", "done"] = "asked"
    by: str = ""
    reason: str = ""
    until: datetime | None = None
    alert_id: UUID | None = None
    target: UUID | None = None
    rule: str = ""
    owner: str = ""
    destination: str = ""
