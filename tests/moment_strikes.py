"""Three strikes, for the oracle of moments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from schemas.moment import moment_id
from schemas.rules import STRIKES, Strikes
from tests.moment_found import OracleMoment


def strikes(
    rule: Strikes | None, customer: str, found: Iterable[OracleMoment], watermark: datetime
) -> set[OracleMoment]:
    """Return a customer's strikes, going through the instants at which pains begin or end.

    Args:
        rule: Threshold and window; None finds nothing.
        customer: The customer's key.
        found: What all other rules found.
        watermark: What only time ends is seen once this is later.
    """
    if rule is None:
        return set()
    pains = [each for each in found if each.kind == "pain" and each.status != "retracted"]
    ends = {pain: _end(pain, rule.window) for pain in pains}
    instants = {pain.occurred_at for pain in pains} | {end for end, _ in ends.values()}
    made: list[OracleMoment] = []
    is_open = False
    for now in sorted(instants):
        # what ends at this instant is gone, what begins at it is not there yet
        counting = [pain for pain in pains if pain.occurred_at < now and ends[pain][0] > now]
        if is_open and len(counting) < rule.threshold:
            gone = [by for pain, (end, by) in ends.items() if end == now != pain.occurred_at]
            closed_by = max(gone)
            in_time = [pain for pain in pains if pain.occurred_at < now and ends[pain] == (now, "")]
            if now >= watermark and len(counting) + len(in_time) >= rule.threshold:
                break  # only time says so, and it is not over: this stays open till then
            made[-1] = replace(made[-1], status="resolved", closed_at=now, closed_by=closed_by)
            is_open = False
        begun = [pain for pain in pains if pain.occurred_at == now and ends[pain][0] > now]
        if not is_open and begun and len(counting) + len(begun) >= rule.threshold:
            made.append(_strike(customer, counting + begun, begun))
            is_open = True
    return set(made)


def _end(pain: OracleMoment, window: timedelta) -> tuple[datetime, str]:
    """Return when a pain ceases to count, and the event that did it; time has none."""
    left = pain.occurred_at + window
    if pain.closed_at is None or left < pain.closed_at:
        return left, ""
    return pain.closed_at, pain.closed_by


def _strike(customer: str, counting: list[OracleMoment], begun: list[OracleMoment]) -> OracleMoment:
    cause = max(begun, key=lambda pain: str(pain.moment_id))
    evidence = sorted(counting, key=lambda pain: (pain.occurred_at, str(pain.moment_id)))
    return OracleMoment(
        moment_id(STRIKES, customer, "", str(cause.moment_id)),
        STRIKES,
        "pain",
        "open",
        customer,
        "",
        str(cause.moment_id),
        tuple(str(pain.moment_id) for pain in evidence),
        cause.occurred_at,
        cause.occurred_at,
    )
