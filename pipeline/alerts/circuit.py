"""A circuit breaker: a destination that is down is left in peace, and asked now and then.

After failures in a row the circuit is open: nothing is sent. When its pause is over, one try goes
through (half open). Its success closes the circuit; its failure opens it for twice as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Literal

State = Literal["closed", "open", "half_open"]

#: So many failures in a row open the circuit.
FAILURES = 5
#: Seconds of the first pause, and of the longest.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


class Circuit:
    """Whether a destination may be tried now. Times are seconds of one monotonic clock.

    Args:
        random: Spreads the pauses, so that alerters do not probe in step.
        changed: Called with every new state.
    """

    def __init__(self, random: Random, changed: Callable[[State], None]) -> None:
        self._random = random
        self._changed = changed
        self._state: State = "closed"
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._until = 0.0

    @property
    def state(self) -> State:
        """What it is now; ``open`` also when the pause is over and nothing was tried yet."""
        return self._state

    def wait(self, now: float) -> float:
        """Return the seconds until a try may begin: 0 is now, infinity while a probe is out."""
        if self._state == "half_open":
            return math.inf
        return max(0.0, self._until - now) if self._state == "open" else 0.0

    def begin(self) -> bool:
        """Begin a try that ``wait`` allows; return whether it is the probe."""
        if self._state == "open":
            self._become("half_open")
            return True
        return False

    def withdraw(self, probe: bool) -> None:
        """Take back a try that was begun, and not made after all."""
        if probe and self._state == "half_open":
            self._become("open")

    def succeeded(self) -> bool:
        """Note that the destination answered; return whether that closed the circuit."""
        self._failures = 0
        self._pause = FIRST_PAUSE
        was_closed = self._state == "closed"
        self._become("closed")
        return not was_closed

    def failed(self, now: float, probe: bool) -> None:
        """Note a failed try. Only a probe counts while the circuit is not closed."""
        if self._state == "closed":
            self._failures += 1
            if self._failures >= FAILURES:
                self._open(now)
        elif probe:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._open(now)

    def _open(self, now: float) -> None:
        self._until = now + self._pause * self._random.uniform(0.75, 1.0)
        self._become("open")

    def _become(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._changed(state)
