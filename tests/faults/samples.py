"""Memory of a process over time."""

from __future__ import annotations

import psutil


class Sampler:
    """Samples what a process holds.

    Args:
        process: The process.

    Attributes:
        values: Resident bytes, oldest first.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.values: list[int] = []

    def sample(self) -> int:
        """Take a sample and return it."""
        self.values.append(int(self._process.memory_info().rss))
        return self.values[-1]

    def growth(self) -> int:
        """Return by how much the last tenth exceeds the first, in bytes."""
        share = max(len(self.values) // 10, 1)
        return sum(self.values[-share:]) // share - sum(self.values[:share]) // share
