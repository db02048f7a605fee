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
    instants = {pain.occurred_at for pain in pains} | {end for end, _, _ in ends.values()}
    made: list[OracleMoment] = []
    is_open = False
    for now in sorted(instants):
        # what ends at this instant is gone, what begins at it is not there yet
        counting = [pain for pain in pains if pain.occurred_at < now and ends[pain][0] > now]
        gone = [end for pain, end in ends.items() if end[0] == now != pain.occurred_at]
        if is_open and len(counting) < rule.threshold:
            left = sum(by_window for _, _, by_window in gone)
            if len(counting) + left >= rule.threshold and now >= watermark:
                break  # only time says so, and it is not over: this stays open till then
            closed_by = max(by for _, by, _ in gone)
            made[-1] = replace(made[-1], status="resolved", closed_at=now, closed_by=closed_by)
            is_open = False
        begun = [pain for pain in pains if pain.occurred_at == now and ends[pain][0] > now]
        if not is_open and begun and len(counting) + len(begun) >= rule.threshold:
            made.append(_strike(customer, counting + begun, begun))
            is_open = True
    return set(made)


def _end(pain: OracleMoment, window: timedelta) -> tuple[datetime, str, bool]:
    """Return when a pain ceases to count, the event that did it, and whether it left the window."""
    left = pain.occurred_at + window
    if pain.closed_at is None or left < pain.closed_at:
        return left, "", True
    return pain.closed_at, pain.closed_by, False


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
