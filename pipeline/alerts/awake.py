"""Whether an alerter that may have stood still may still act for its partitions."""

from __future__ import annotations

from pipeline.alerts.deliveries import Clock


class Awake:
    """Whether this process may still think that the partitions are its own.

    A process that was stopped for longer than Kafka waits has lost them, and is told only after it
    has gone on: until then it must not send anything.

    Args:
        clock: Time.
        session_timeout: How long Kafka waits, seconds.
    """

    def __init__(self, clock: Clock, session_timeout: float) -> None:
        self._clock = clock
        self._limit = session_timeout * 0.6
        self._session_timeout = session_timeout
        self._last = clock.monotonic()
        self._doubted = -1
        self._doubted_at = 0.0

    def tick(self, epoch: int) -> None:
        """Note that the process runs."""
        self._look(epoch)
        self._last = self._clock.monotonic()

    def certain(self, epoch: int) -> bool:
        """Return whether the assignment can be trusted."""
        self._look(epoch)
        if self._doubted != epoch:
            return True
        return self._clock.monotonic() - self._doubted_at > self._session_timeout

    def _look(self, epoch: int) -> None:
        now = self._clock.monotonic()
        if now - self._last > self._limit:
            self._doubted, self._doubted_at, self._last = epoch, now, now
