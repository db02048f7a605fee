"""How far event time is complete, per partition.

A worker has one customer's partition of every channel, so a partition number has one watermark
over its topics. While some topic of it is still behind its end, the slowest of those decides: their
older events are yet to come. Once all are read to the end, the latest event of any decides, and
when nothing comes any more, the wall clock. The allowed lateness is subtracted. It never goes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: Microseconds of a second.
SECOND = 1_000_000
#: Before every instant there is, in microseconds since 1970.
BEGINNING = -(1 << 62)


@dataclass
class _Partition:
    watermark: int
    latest: dict[str, int] = field(default_factory=dict)
    heard_at: float = 0.0


class Watermarks:
    """Watermarks of the partitions of one worker. Times are microseconds since 1970.

    Attributes:
        lateness: Allowed lateness, microseconds.

    Args:
        lateness: Allowed lateness, seconds.
        idle: A partition that nothing came for in so long is closed by the wall clock, seconds.
    """

    def __init__(self, lateness: float, idle: float) -> None:
        self.lateness = int(lateness * SECOND)
        self._idle = idle
        self._partitions: dict[int, _Partition] = {}

    def begin(self, watermarks: Mapping[int, int], clock: float) -> None:
        """Begin anew with what is known of the assigned partitions.

        Args:
            watermarks: Where each begins; ``BEGINNING`` where nothing is known.
            clock: A monotonic clock, seconds.
        """
        self._partitions = {
            number: _Partition(watermark, heard_at=clock)
            for number, watermark in watermarks.items()
        }

    def __getitem__(self, partition: int) -> int:
        """Return a partition's watermark."""
        return self._partitions[partition].watermark

    def known(self) -> dict[int, int]:
        """Return the watermarks of the partitions that have one. May be called in any thread."""
        return {
            number: known.watermark
            for number, known in list(self._partitions.items())
            if known.watermark > BEGINNING
        }

    def heard(self, topic: str, partition: int, latest: int, clock: float) -> None:
        """Take note of events.

        Args:
            topic: Topic they came from.
            partition: Its partition.
            latest: When the latest of them happened.
            clock: A monotonic clock, seconds.
        """
        known = self._partitions[partition]
        known.latest[topic] = max(latest, known.latest.get(topic, latest))
        known.heard_at = clock

    def advance(self, partition: int, behind: Iterable[str]) -> int:
        """Return the watermark, given the topics that are not read to the end."""
        known = self._partitions[partition]
        behind = list(behind)
        if behind:
            complete = min(known.latest.get(topic, BEGINNING) for topic in behind)
        else:
            complete = max(known.latest.values(), default=BEGINNING)
        known.watermark = max(known.watermark, complete - self.lateness)
        return known.watermark

    def idle(self, clock: float, now: int) -> list[int]:
        """Return the partitions that had events, had none for long, and can be moved on.

        Args:
            clock: A monotonic clock, seconds.
            now: The wall clock.
        """
        return [
            number
            for number, known in self._partitions.items()
            if clock - known.heard_at >= self._idle
            and BEGINNING < known.watermark < now - self.lateness
        ]

    def pass_time(self, partition: int, now: int) -> int:
        """Let the wall clock close what an idle stream left open; return the watermark."""
        known = self._partitions[partition]
        known.watermark = max(known.watermark, now - self.lateness)
        return known.watermark
