"""The sequential oracle of moments: what detection must come to, whatever the way events came.

Plain Python over one customer's sorted events, written from ``docs/moments.md`` and not from the
code it checks: nothing is kept from event to event, everything is looked up again in the whole
history. Slow on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from schemas.catalog import Catalog
from schemas.moment import moment_id
from schemas.rules import Absence, Sequence, patterns_of
from schemas.terms import Promise
from tests.moment_drafts import AnyRule, Draft, drafts, early, overdue
from tests.moment_found import Found, OracleMoment, OraclePromise, Seen
from tests.moment_patterns import Hours, Item, any_fits, threads
from tests.moment_promises import promised
from tests.moment_strikes import strikes


def find(catalog: Catalog, events: Iterable[Seen], watermark: datetime) -> Found:
    """Return every moment and promise there is in the events, as known at the watermark.

    Args:
        catalog: With its rules, promises, calendars and strikes.
        events: In any order; of those with the same customer and id the first counts.
        watermark: Up to here in event time everything has arrived.
    """
    customers: dict[str, dict[str, Seen]] = {}
    for seen in events:
        customers.setdefault(seen.customer_key, {}).setdefault(seen.event_id, seen)
    moments: set[OracleMoment] = set()
    promises: set[OraclePromise] = set()
    for key, history in customers.items():
        one = _Customer(catalog, key, watermark, list(history.values()))
        moments |= one.moments()
        promises |= {each.record for found in one.promises.values() for each in found}
    return Found(frozenset(moments), frozenset(promises))


class _Customer:
    """One customer's history and what is found in it."""

    def __init__(
        self, catalog: Catalog, key: str, watermark: datetime, history: list[Seen]
    ) -> None:
        self.catalog, self.key, self.watermark = catalog, key, watermark
        self.hours = Hours(catalog.calendars)
        self.items = sorted((_item(seen, history) for seen in history), key=lambda item: item.key)
        self.promises = {
            promise.id: promised(promise, key, self.items, self.hours, watermark)
            for promise in catalog.promises
        }

    def moments(self) -> set[OracleMoment]:
        """Return the moments of every rule, of the rules over those, and the three strikes."""
        found: set[OracleMoment] = set()
        over = [rule for rule in self.catalog.rules if _looks_at_moments(rule)]
        for rule in self.catalog.rules:
            if rule not in over:
                found |= self._by_rule(rule, self.items)
        happened = sorted(self.items + _as_items(found), key=lambda item: item.key)
        for rule in over:
            found |= self._by_rule(rule, happened)
        return found | strikes(self.catalog.strikes, self.key, found, self.watermark)

    def _by_rule(self, rule: AnyRule, items: list[Item]) -> set[OracleMoment]:
        promise = self._promise_of(rule)
        moments = set()
        for subject, thread in threads(rule if promise is None else promise, items).items():
            for draft in self._drafts(rule, subject, thread):
                moment = OracleMoment(
                    moment_id(rule.id, self.key, subject, draft.cause.id),
                    rule.id,
                    rule.kind,
                    "open",
                    self.key,
                    subject,
                    draft.cause.id,
                    tuple(item.id for item in sorted(draft.evidence, key=lambda item: item.key)),
                    draft.cause.at,
                    draft.occurred_at,
                    draft.due_at,
                )
                moments.add(self._closed(rule, promise, moment, draft, thread))
        return moments

    def _promise_of(self, rule: AnyRule) -> Promise | None:
        name = getattr(rule, "promise", None)
        return next((each for each in self.catalog.promises if each.id == name), None)

    def _drafts(self, rule: AnyRule, subject: str, items: list[Item]) -> list[Draft]:
        name = getattr(rule, "promise", None)
        if name is None:
            return drafts(rule, items, self.hours, self.watermark)
        kept = [each for each in self.promises[name] if each.record.subject == subject]
        if isinstance(rule, Sequence):
            return early(rule, kept)
        return overdue(kept)

    def _closed(
        self,
        rule: AnyRule,
        promise: Promise | None,
        moment: OracleMoment,
        draft: Draft,
        items: list[Item],
    ) -> OracleMoment:
        resolving, retracting = list(rule.resolved_by), list(rule.retracted_by)
        if isinstance(rule, Absence):
            resolving += rule.until if promise is None else promise.kept
            retracting += rule.unless if promise is None else promise.cancelled
        end = draft.occurred_at + rule.open_for
        by_time = draft.calm_at
        if by_time is not None and not (by_time < self.watermark or draft.calm_seen):
            by_time = None  # more may come
        if by_time is not None and by_time > end:
            by_time = None
        if rule.kind == "glory":  # there is nothing to resolve
            resolving, by_time = [], None
        for item in items:
            if item.key <= draft.complete or item.at > end:
                continue
            if by_time is not None and by_time < item.at:
                break
            status = ""
            if any_fits(retracting, item):
                status = "retracted"
            elif any_fits(resolving, item) or (rule.kind == "pain" and item == draft.calm_by):
                status = "resolved"
            if status:
                return replace(moment, status=status, closed_at=item.at, closed_by=item.id)
        if by_time is not None:
            return replace(moment, status="resolved", closed_at=by_time)
        return moment


def _item(seen: Seen, history: list[Seen]) -> Item:
    facts: dict[str, int] = {}
    for other in history:
        if (other.occurred_at, other.event_id) < (seen.occurred_at, seen.event_id):
            for fact in other.classification.facts:
                facts[fact] = facts.get(fact, 0) + 1
    stage = seen.classification.stage
    for option in reversed(seen.classification.stage_after):  # the first that applies stays
        if facts.get(option.fact, 0) >= option.times:
            stage = option.stage
    return Item(seen.occurred_at, seen.event_id, seen.event, stage, facts, seen.classification)


def _looks_at_moments(rule: AnyRule) -> bool:
    return any(pattern.moment is not None for _, listed in patterns_of(rule) for pattern in listed)


def _as_items(found: Iterable[OracleMoment]) -> list[Item]:
    items = []
    for each in found:
        if each.status == "retracted":
            continue
        name = str(each.moment_id)
        items.append(Item(each.occurred_at, name, moment=(each.kind, each.rule, "open")))
        if each.status == "resolved" and each.closed_at is not None:
            items.append(Item(each.closed_at, name, moment=(each.kind, each.rule, "resolved")))
    return items
