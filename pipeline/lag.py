"""How far a worker is behind, per partition: in records, in time, and for how long it stands."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.topics import TopicPartition


class Lag:
    """Looks at positions again and again.

    Attributes:
        of_partitions: Offsets between what is safe and the end, of each assigned partition.
        records: Their sum.
        seconds: Age of the oldest record that waits; of partitions of which none is fetched, how
            long they have waited.
        still: For how long the partition that has waited longest has not moved, seconds.
        stillest: That partition; None where none waits.
    """

    def __init__(self) -> None:
        self.of_partitions: dict[TopicPartition, int] = {}
        self.records = 0
        self.seconds = 0.0
        self.still = 0.0
        self.stillest: TopicPartition | None = None
        self._waiting: dict[TopicPartition, tuple[int, float]] = {}

    def look(
        self,
        safe: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        oldest: Mapping[TopicPartition, float],
        clock: float,
        now: float,
    ) -> None:
        """Look at the positions as they are now.

        Args:
            safe: Up to where each assigned partition is stored.
            ends: Ends of these partitions, as far as known.
            oldest: When the oldest record that waits came to Kafka, seconds since 1970, of
                partitions of which some are fetched.
            clock: A monotonic clock, seconds.
            now: The wall clock, seconds since 1970.
        """
        self.of_partitions = {tp: max(ends.get(tp, 0) - at, 0) for tp, at in safe.items()}
        self.records = sum(self.of_partitions.values())
        waiting: dict[TopicPartition, tuple[int, float]] = {}
        for place, records in self.of_partitions.items():
            if records or place in oldest:
                known = self._waiting.get(place)
                moved = known is None or known[0] != safe[place]
                waiting[place] = (safe[place], clock) if moved or known is None else known
        self._waiting = waiting
        self.seconds = max(
            (
                now - oldest[place] if place in oldest else clock - since
                for place, (_, since) in waiting.items()
            ),
            default=0.0,
        )
        self.seconds = max(self.seconds, 0.0)
        self.stillest = min(waiting, key=lambda place: waiting[place][1], default=None)
        self.still = 0.0 if self.stillest is None else clock - waiting[self.stillest][1]
