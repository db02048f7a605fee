"""One customer's history, to be told: who it is, and every journey with what its steps caused.

Every statement names the customer, so each reads a few granules, however large the tables are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clickhouse_connect.driver.client import Client

from pipeline.warehouse.client import explained

#: A row by column name.
Row = dict[str, Any]

_WHO = """
SELECT customer_key, segment, first_at, last_at, interactions, journeys
FROM customers WHERE customer_key = {customer:String}
"""
_TRUST = """
SELECT glories, pains, open_pains, balance
FROM trust_balance WHERE customer_key = {customer:String}
"""
_STRIKES = """
SELECT pains AS strikes, at_risk
FROM customer_strikes WHERE customer_key = {customer:String}
"""
_JOURNEYS = """
SELECT journey_number, started_at, ended_at, duration_seconds, steps AS interactions, outcome
FROM journeys WHERE customer_key = {customer:String}
ORDER BY journey_number
"""
#: The last of those that fit, and how many do.
_STEPS = """
SELECT
    event_id, journey_number, occurred_at, channel, handoff_from, touchpoint, stage, need, action,
    direction, outcome, count() OVER () AS fitting
FROM steps
WHERE customer_key = {customer:String}
    AND occurred_at >= {since:DateTime64(6, 'UTC')}
    AND occurred_at < {until:DateTime64(6, 'UTC')}
ORDER BY occurred_at DESC, event_id DESC
LIMIT {limit:UInt32}
"""
_MOMENTS = """
SELECT
    toString(moment_id) AS moment_id, kind, rule, severity, status, text, owner, occurred_at,
    closed_at, cause,
    cause IN (SELECT event_id FROM steps WHERE customer_key = {customer:String}) AS of_step
FROM moments
WHERE customer_key = {customer:String} AND status != 'retracted'
ORDER BY occurred_at, moment_id
"""
_PROMISES = """
SELECT
    toString(promise_id) AS promise_id, promise, status, made_by, made_at, due_at, answered_by,
    answered_at
FROM promises
WHERE customer_key = {customer:String}
ORDER BY made_at, promise_id
"""


@dataclass(frozen=True)
class Biography:
    """What is known of one customer.

    Attributes:
        who: Key, segment, since when, and what there is: interactions, journeys, glories, pains,
            open pains, trust balance, strikes as of now and whether they are too many.
        journeys: Journeys in order, each with its ``steps`` that fit, each of those with
            ``moments`` and the promises ``made`` and ``answered`` there.
        left_out: Earlier interactions that fit as well.
    """

    who: Row
    journeys: list[Row]
    left_out: int


def biography(
    client: Client, customer: str, since: datetime, until: datetime, limit: int
) -> Biography | None:
    """Return the history of one customer, or None where no journey of theirs is known.

    Args:
        client: Client on a migrated database.
        customer: Customer key.
        since: First instant of the interactions to tell of.
        until: First instant after them.
        limit: Interactions to tell of at most, the latest ones.

    Raises:
        RetryableError: ClickHouse does not answer for now.
        SchemaMismatch: The tables are not there.
    """
    asked = {"customer": customer, "since": since, "until": until, "limit": limit}

    def rows(sql: str) -> list[Row]:
        with explained():
            return [dict(row) for row in client.query(sql, parameters=asked).named_results()]

    known = rows(_WHO)
    if not known:
        return None
    who = known[0] | {"glories": 0, "pains": 0, "open_pains": 0, "balance": 0.0}
    who |= {"strikes": 0, "at_risk": False}
    for found in rows(_TRUST) + rows(_STRIKES):
        who |= found
    steps = rows(_STEPS)[::-1]
    fitting = steps[0]["fitting"] if steps else 0
    for step in steps:
        del step["fitting"]
    _attach(steps, rows(_MOMENTS), rows(_PROMISES))
    return Biography(who, _told(rows(_JOURNEYS), steps), fitting - len(steps))


def _attach(steps: Sequence[Row], moments: Sequence[Row], promises: Sequence[Row]) -> None:
    """Give each step its moments and promises.

    A moment that no interaction caused, such as three strikes, goes with the last interaction
    before it; one that is caused by an interaction that is left out is left out, too.
    """
    own = {step["event_id"]: step for step in steps}
    caused, lone = defaultdict(list), list[Row]()
    for moment in moments:
        if not moment.pop("of_step"):
            lone.append(moment)
        elif moment["cause"] in own:
            caused[moment["cause"]].append(moment)
    for moment in lone:
        before = [step for step in steps if step["occurred_at"] <= moment["occurred_at"]]
        if before:
            caused[before[-1]["event_id"]].append(moment)
    made = _by(promises, lambda promise: promise["made_by"])
    answered = _by(promises, lambda promise: promise["answered_by"])
    for event_id, step in own.items():
        step["moments"] = caused[event_id]
        step["made"] = made[event_id]
        step["answered"] = answered[event_id]


def _by(rows: Sequence[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    found = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def _told(journeys: Sequence[Row], steps: Sequence[Row]) -> list[Row]:
    """Return the journeys that have steps, with them and the silence before, in seconds."""
    told = []
    of_journey = _by(steps, lambda step: step["journey_number"])
    before: Row | None = None
    for journey in journeys:
        gap = before and (journey["started_at"] - before["ended_at"]).total_seconds()
        if own := of_journey[journey["journey_number"]]:
            told.append({**journey, "seconds_since_previous": gap, "steps": own})
        before = journey
    return told
