"""How fast a destination is told: its rate, and how long to wait after a failure."""

from __future__ import annotations

from random import Random

#: Bounds of the wait after a failure, in seconds: the first is at most the one, none more than
#: the other.
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 300.0


def backoff(attempts: int, random: Random) -> float:
    """Return the seconds to wait after so many failed tries: exponential, with full jitter.

    Full jitter, because many deliveries fail at one moment, and must not come back at one moment:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    doubled = FIRST_BACKOFF * 2.0 ** min(max(attempts - 1, 0), 30)
    return random.uniform(0.0, min(doubled, LONGEST_BACKOFF))


class Pace:
    """A token bucket: at most ``per_minute`` in any 60 seconds, a twentieth of them at once.

    The burst is taken off the rate; a bucket that refills at the full rate lets through its burst
    on top of it. Times are seconds of one monotonic clock.
    """

    def __init__(self, per_minute: int, now: float) -> None:
        self._burst = 1 + per_minute // 20
        self._per_second = (per_minute - self._burst + 1) / 60
        self._tokens = float(self._burst)
        self._at = now
        self._held_until = now

    def wait(self, now: float) -> float:
        """Return the seconds until the next may go, 0 for now."""
        self._refill(now)
        missing = (1.0 - self._tokens) / self._per_second
        wait = max(missing, self._held_until - now)
        return wait if wait > 1e-6 else 0.0  # less is rounding

    def take(self, now: float) -> None:
        """One goes."""
        self._refill(now)
        self._tokens -= 1

    def give_back(self) -> None:
        """One that was taken did not go."""
        self._tokens = min(self._tokens + 1, float(self._burst))

    def hold(self, now: float, seconds: float) -> None:
        """Let nothing go for so long: the destination asked for it."""
        self._held_until = max(self._held_until, now + seconds)

    def _refill(self, now: float) -> None:
        self._tokens = min(self._tokens + (now - self._at) * self._per_second, float(self._burst))
        self._at = now
