"""Whether an alerter does its work, and if not, why: for ``/healthz``, ``/readyz`` and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pipeline.alerts.deliveries import Clock
from pipeline.metrics import AlertMetrics
from pipeline.status_server import Status

#: Seconds without a finished round or a failed try after which the loop is taken for stuck.
STUCK_SECONDS = 120.0
#: What an alerter raises an alarm for. stuck: its loop does not turn. waiting: ClickHouse does not
#: take what was decided, or does not tell what is known. destination: one is not tried for now.
ALARMS = ("stuck", "waiting", "destination")


class Watched(Protocol):
    """What is looked at."""

    turned_at: float
    trouble: str

    @property
    def is_active(self) -> bool:
        """Return whether it has the moments."""

    def waiting(self) -> Mapping[str, int]:
        """Return how many deliveries wait, by destination."""


class AlertHealth:
    """Looks at the rounds of an alerter.

    Args:
        rounds: The rounds.
        metrics: Shows what is found; knows the circuit breakers.
        clock: Time.
    """

    def __init__(self, rounds: Watched, metrics: AlertMetrics, clock: Clock) -> None:
        self._rounds = rounds
        self._metrics = metrics
        self._clock = clock

    def alive(self) -> Status:
        """Return whether it is better to leave the process as it is."""
        still = self._clock.monotonic() - self._rounds.turned_at
        if still > STUCK_SECONDS:
            return Status({"stuck": f"the loop has not turned for {still:.0f} s"})
        return Status()

    def ready(self) -> Status:
        """Return whether people are told of what happens.

        A destination that does not answer is an alarm and a fact, not a reason to be taken for not
        ready: the others are told, and starting anew would not mend it.
        """
        problems = dict(self.alive().problems)
        if self._rounds.trouble:
            problems["waiting"] = self._rounds.trouble
        broken = sorted(self._metrics.broken)
        for reason in ALARMS:
            raised = reason in problems or (reason == "destination" and bool(broken))
            self._metrics.alarm.labels(reason).set(raised)
        self._metrics.clickhouse_up.set("waiting" not in problems)
        self._metrics.ready.set(not problems)
        facts = {
            "active": self._rounds.is_active,
            "waiting_deliveries": dict(self._rounds.waiting()),
            "destinations_not_tried": broken,
        }
        return Status(problems, facts)

    def exposition(self) -> bytes:
        """Return the metrics, after a look at the health."""
        self.ready()
        return self._metrics.exposition()
