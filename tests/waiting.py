"""The one loop in which tests wait for a condition."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 30.0, what: str = "the condition") -> Any:
    """Wait until a condition holds and return its value; fails when time is up."""
    deadline = monotonic() + seconds
    while not (value := condition()):
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        sleep(0.02)
    return value
