"""Where a moment goes: the routes of the catalog, asked one moment at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from string import Formatter
from urllib.parse import quote
from uuid import UUID

from pipeline.moments.hours import instant, microseconds, opening
from schemas.alerts import Common, Route
from schemas.catalog import Catalog
from schemas.moment import Moment
from schemas.notification import Told
from schemas.rules import SEVERITIES

_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}


class Routing:
    """The routes of a catalog.

    Args:
        catalog: A checked catalog.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._routes = {route.id: route for route in catalog.routes}
        self._calendars = {calendar.id: calendar for calendar in catalog.calendars}
        terms = {promise.id: promise.name for promise in catalog.promises}
        self._promises = {
            rule.id: terms[promise]
            for rule in catalog.rules
            if (promise := getattr(rule, "promise", None)) is not None
        }
        self.cooldowns = {
            route.id: route.cooldown for route in catalog.routes if route.cooldown is not None
        }

    def __getitem__(self, route: str) -> Route | None:
        """Return a route by its id, None where the catalog no longer has it."""
        return self._routes.get(route)

    def of(self, moment: Moment) -> list[Route]:
        """Return the routes that a moment takes."""
        taken = []
        for route in self._routes.values():
            if _matches(route, moment):
                taken.append(route)
                if not route.go_on:
                    break
        return taken

    def told(self, moment: Moment) -> Told:
        """Return a moment as alerts describe it, but for the customer's last touchpoints."""
        fields = set(Told.model_fields) & set(Moment.model_fields)
        values = {name: getattr(moment, name) for name in fields}
        return Told(**values, promise=self._promises.get(moment.rule, ""))

    def opens_at(self, route: Route, told: Told, now: datetime) -> datetime | None:
        """Return when people may be told of a moment again; None where they may be told now."""
        if route.hours is None or _RANK[told.severity] >= _RANK[route.urgent]:
            return None
        at = microseconds(now)
        opens = opening(at, self._calendars[route.hours])
        return None if opens <= at else instant(opens)

    def link(self, route: str, told: Told, owner: str, alert: UUID) -> str:
        """Return the link of a route, filled in for a moment; empty where it has none."""
        known = self._routes.get(route)
        if known is None or known.link is None:
            return ""
        values = {
            "alert_id": str(alert),
            "moment_id": str(told.moment_id),
            "customer": told.customer_key,
            "rule": told.rule,
            "owner": owner,
            "touchpoint": told.touchpoint,
            "subject": told.subject,
        }
        quoted = {name: quote(value, safe="") for name, value in values.items()}
        return Formatter().vformat(known.link, (), quoted)


def common(names: Iterable[Common], told: Told, owner: str) -> dict[str, str]:
    """Return what a moment has of the things that moments can have in common.

    Args:
        names: Which; ``moment`` stands for its id, which no other has.
        told: The moment.
        owner: Its owner.
    """
    values = {
        "rule": told.rule,
        "owner": owner,
        "touchpoint": told.touchpoint,
        "channel": told.channel,
        "segment": told.segment,
        "severity": told.severity,
        "customer": told.customer_key,
        "subject": told.subject,
        "moment": str(told.moment_id),
    }
    return {name: values[name] for name in names}


def _matches(route: Route, moment: Moment) -> bool:
    return (
        moment.kind == route.kind
        and _RANK[moment.severity] >= _RANK[route.at_least]
        and (route.rule is None or moment.rule in route.rule)
        and (route.owner is None or moment.owner in route.owner)
        and (route.touchpoint is None or moment.touchpoint in route.touchpoint)
        and (route.channel is None or moment.channel in route.channel)
        and (route.segment is None or moment.segment in route.segment)
    )
