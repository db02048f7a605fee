"""What is said of moments and promises: rows of the ledger, messages, and back again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

import orjson

from pipeline.moments.cells import Key, Name, Said
from pipeline.moments.hours import instant, microseconds
from pipeline.moments.notes import Found, Note, Promised
from pipeline.moments.rules import STRIKES_PLACE, Rules
from pipeline.moments.unsaid import Change
from pipeline.warehouse.ledger_rows import MomentRow, PromiseRow
from schemas.moment import MOMENT_VERSION, moment_id
from schemas.rules import RuleBase, Strikes

#: Owner of what neither the rule nor a touchpoint has one for.
NOBODY = "unassigned"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_UNKNOWN = "unknown"


class Statements:
    """Turns changes into records, and records into what was said.

    Args:
        rules: The rules.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._places = rules.places()
        self._group_of = {place: group.number for group in rules.groups for place in group.asked}
        self._group_of[STRIKES_PLACE] = STRIKES_PLACE
        self._promises = {
            group.promise.promise.id: group.number
            for group in rules.groups
            if group.promise is not None
        }
        self._owners = {item.id: item.owner for item in rules.catalog.touchpoints}
        self._names = {item.id: item.name for item in rules.catalog.touchpoints}
        self._channels = {item.id: item.name for item in rules.catalog.channels}

    def moment(self, change: Change, partition: int, watermark: int, now: datetime) -> MomentRow:
        """Return the row of a changed moment.

        Args:
            change: The change, of a moment.
            partition: Kafka partition of the customer.
            watermark: Watermark of the partition.
            now: When it is said.
        """
        found, place = change.what, change.place
        if place is None or not isinstance(found, Found):
            raise TypeError("a promise is no moment")
        customer, _, subject = change.key
        rule, name, cause = self._rule(place), self._rules.name(place), found.cause
        owner = rule.owner or self._owners.get(cause.touchpoint, NOBODY)
        return MomentRow(
            schema_version=MOMENT_VERSION,
            moment_id=moment_id(name, customer, subject, cause.event_id),
            revision=change.revision,
            status="withdrawn" if change.withdrawn else found.status,
            kind=self._rules.kind(place),
            severity=rule.severity,
            rule=name,
            rule_version=rule.version,
            catalog_version=self._rules.version,
            customer_key=customer,
            subject=subject,
            segment=cause.segment,
            touchpoint=cause.touchpoint,
            channel=cause.channel,
            need=cause.need,
            owner=owner,
            text=self._text(rule.text, change.key, found, owner),
            cause=cause.event_id,
            evidence=list(found.evidence),
            cause_at=instant(cause.at),
            occurred_at=instant(found.occurred_at),
            due_at=_instant(found.due_at),
            closed_at=_instant(found.closed_at),
            closed_by=found.closed_by,
            detected_at=change.detected_at,
            changed_at=now,
            partition=partition,
            watermark=instant(max(watermark, 0)),
        )

    def promise(self, change: Change, partition: int, watermark: int, now: datetime) -> PromiseRow:
        """Return the row of a changed promise; ``moment`` has the arguments."""
        promised = change.what
        customer, number, subject = change.key
        kept = self._rules.groups[number].promise
        if kept is None or not isinstance(promised, Promised):
            raise TypeError("a moment is no promise")
        made, answer, promise = promised.made, promised.answer, kept.promise
        cancelled = promised.status == "cancelled"
        answered = answer is not None and not cancelled
        return PromiseRow(
            promise_id=moment_id(promise.id, customer, subject, made.event_id),
            revision=change.revision,
            status="withdrawn" if change.withdrawn else promised.status,
            promise=promise.id,
            promise_version=promise.version,
            catalog_version=self._rules.version,
            customer_key=customer,
            subject=subject,
            segment=made.segment,
            touchpoint=made.touchpoint,
            channel=made.channel,
            need=made.need,
            owner=self._owners.get(made.touchpoint, NOBODY),
            made_by=made.event_id,
            made_at=instant(made.at),
            due_at=instant(promised.due_at),
            answered_by=answer.event_id if answer is not None else "",
            answered_channel=answer.channel if answer is not None else "",
            answered_at=instant(answer.at) if answer is not None and answered else None,
            ended_at=instant(answer.at) if answer is not None and cancelled else None,
            changed_at=now,
            partition=partition,
            watermark=instant(max(watermark, 0)),
        )

    def said(
        self, moments: Iterable[MomentRow], promises: Iterable[PromiseRow]
    ) -> dict[Key, dict[Name, Said]]:
        """Return what rows say, by cell. Rows of rules that are no more are left out."""
        found: dict[Key, dict[Name, Said]] = {}
        for row in moments:
            place = self._places.get(row.rule)
            group = None if place is None else self._group_of.get(place)
            if group is None:
                continue
            key = (row.customer_key, group, row.subject)
            withdrawn = row.status == "withdrawn"
            what = Found(
                Note(
                    microseconds(row.cause_at),
                    row.cause,
                    row.channel,
                    row.touchpoint,
                    row.need,
                    row.segment,
                ),
                tuple(row.evidence),
                microseconds(row.occurred_at),
                _microseconds(row.due_at),
                "open" if withdrawn else row.status,
                _microseconds(row.closed_at),
                row.closed_by,
            )
            status = "withdrawn" if withdrawn else ""
            at = microseconds(row.watermark)
            statement = Said(what, row.revision, row.detected_at, status, at)
            found.setdefault(key, {})[place, row.cause] = statement
        for promise in promises:
            number = self._promises.get(promise.promise)
            if number is None:
                continue
            key = (promise.customer_key, number, promise.subject)
            status = "withdrawn" if promise.status == "withdrawn" else ""
            at = microseconds(promise.watermark)
            kept = _promised(promise)
            statement = Said(kept, promise.revision, promise.changed_at, status, at)
            found.setdefault(key, {})[None, promise.made_by] = statement
        return found

    def _rule(self, place: int) -> RuleBase | Strikes:
        strikes = self._rules.strikes
        if place == STRIKES_PLACE and strikes is not None:
            return strikes
        return self._rules.catalog.rules[place]

    def _text(self, text: str, key: Key, found: Found, owner: str) -> str:
        cause = found.cause
        known: dict[str, object] = {
            "customer": key[0],
            "subject": key[2].partition(":")[2] or key[2],
            "touchpoint": self._names.get(cause.touchpoint, cause.touchpoint),
            "channel": self._channels.get(cause.channel, cause.channel),
            "cause_at": _shown(cause.at),
            "occurred_at": _shown(found.occurred_at),
            "due_at": None if found.due_at is None else _shown(found.due_at),
            "count": len(found.evidence),
            "owner": owner,
        }
        values: Mapping[str, object] = cause.values or {}

        def fill(match: re.Match[str]) -> str:
            value = known.get(match[1], values.get(match[1]))
            if isinstance(value, float) and value.is_integer():
                value = int(value)  # 5 as it was sent, and 5.0 as it was stored, are one
            return _UNKNOWN if value is None or value == "" else str(value)

        return _PLACEHOLDER.sub(fill, text)


def message(row: MomentRow) -> bytes:
    """Return the value of the moment's record in Kafka: a ``schemas.moment.Moment``."""
    fields = row._asdict()
    del fields["partition"], fields["watermark"]
    # what the model would write, without checking what was just made: a tenth of the time
    return orjson.dumps(fields, option=orjson.OPT_UTC_Z)


def _promised(row: PromiseRow) -> Promised:
    made = Note(
        microseconds(row.made_at), row.made_by, row.channel, row.touchpoint, row.need, row.segment
    )
    answer = None
    at = row.answered_at or row.ended_at
    if at is not None:
        answer = Note(
            microseconds(at), row.answered_by, row.answered_channel, "", row.need, row.segment
        )
    status = "pending" if row.status == "withdrawn" else row.status
    return Promised(made, microseconds(row.due_at), status, answer, 0)


def _instant(at: int | None) -> datetime | None:
    return None if at is None else instant(at)


def _microseconds(at: datetime | None) -> int | None:
    return None if at is None else microseconds(at)


def _shown(at: int) -> str:
    # as %Y-%m-%d %H:%M, which took half the time of a statement
    return instant(at).isoformat(" ", "minutes")[:16] + " UTC"
