"""Chance that falls the same on every machine and with every version of Python.

Built on ``Random.random`` alone, whose sequence Python guarantees: the other methods may change,
and those that use logarithms can differ in the last bit between machines. Identifiers are hashes
of a counter.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

Item = TypeVar("Item")


class Dice:
    """Chance from a seed.

    Args:
        seed: The same text gives the same sequence, another text another one.

    Attributes:
        mark: Four digits that tell the seed.
        random: Returns a number from 0 up to and not including 1.
    """

    __slots__ = ("_count", "_seed", "_serial", "mark", "random")

    def __init__(self, seed: str) -> None:
        self._seed = blake2b(seed.encode(), digest_size=16).digest()
        number = int.from_bytes(self._seed, "big")
        self.random = Random(number).random  # noqa: S311 - made-up customers, not secrets
        self.mark = f"{number % 10_000:04}"
        self._count = 0
        self._serial = 0

    def chance(self, share: float) -> bool:
        """Return true in this share of cases."""
        return self.random() < share

    def below(self, limit: int) -> int:
        """Return a whole number from 0 up to and not including the limit."""
        return int(self.random() * limit)

    def between(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        """Return one of the items."""
        return items[int(self.random() * len(items))]

    def serial(self) -> int:
        """Return the next of the numbers 1, 2, 3, ..., no chance in it."""
        self._serial += 1
        return self._serial

    def uuid(self) -> str:
        """Return an identifier of the shape of a version 4 UUID, another one each time."""
        self._count += 1
        text = blake2b(b"%b%d" % (self._seed, self._count), digest_size=16).hexdigest()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"
