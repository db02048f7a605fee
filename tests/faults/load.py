"""Load for as long as a test lasts, however fast or slow the machine is."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import count

from pipeline.simulator import Plan
from tests.faults.harness import Trial

#: Records that wait before each fault, so that there is something for it to hit.
WAITING = 4_000
_START, _MONTH = date(2020, 1, 1), timedelta(days=35)


class Load:
    """Simulations of a month each, one after the other, of other customers each.

    Args:
        run: Where they are sent.
    """

    def __init__(self, run: Trial) -> None:
        self._run = run
        self._numbers = count()

    def refill(self) -> None:
        """Send until enough waits."""
        while len(self._run.line.events) - self._run.stored() < WAITING:
            number = next(self._numbers)
            start = _START + number * _MONTH
            self._run.line.produce(Plan(customers=300, days=30, seed=700 + number, start=start))
