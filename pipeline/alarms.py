"""Alarms: what is wrong for so long that somebody should look, said once and not over and over.

An alarm is a reason. While it lasts the metric ``touchline_alarm`` is 1 for it; the log says at
ERROR when it begins, and every hour while it lasts, and at WARNING when it is over.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.metrics import Metrics

log = logging.getLogger(__name__)

#: Seconds after which a lasting alarm is said again.
AGAIN_SECONDS = 3_600.0
#: Seconds for which its reason must be gone before an alarm is over.
QUIET_SECONDS = 15.0


@dataclass
class _Alarm:
    began: float
    said: float
    seen: float


class Alarms:
    """The alarms of a process.

    Args:
        metrics: Shows them.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._raised: dict[str, _Alarm] = {}

    def update(self, reasons: Mapping[str, str], clock: float) -> None:
        """Take note of what is wrong now.

        Args:
            reasons: Reason and words of everything that deserves an alarm.
            clock: A monotonic clock, seconds.
        """
        for reason, words in reasons.items():
            known = self._raised.get(reason)
            if known is None:
                self._raised[reason] = _Alarm(clock, clock, clock)
                self._metrics.alarm.labels(reason).set(1)
                log.error("alarm: %s: %s", reason, words)
                continue
            known.seen = clock
            if clock - known.said >= AGAIN_SECONDS:
                known.said = clock
                log.error("alarm for %.0f s: %s: %s", clock - known.began, reason, words)
        for reason, known in list(self._raised.items()):
            if clock - known.seen >= QUIET_SECONDS:
                del self._raised[reason]
                self._metrics.alarm.labels(reason).set(0)
                log.warning("alarm over after %.0f s: %s", known.seen - known.began, reason)

    def __contains__(self, reason: str) -> bool:
        """Return whether there is an alarm for a reason."""
        return reason in self._raised
