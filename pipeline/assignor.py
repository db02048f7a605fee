"""Which worker reads which partitions: a partition number belongs to one worker, in every topic.

A customer's events are in the partition of the same number of every channel's topic. Whoever has
only some of these topics would take silence for an answer that was not given, so a number is never
divided, not even while workers with and without a new channel run side by side.

Called range, as the assignor of Kafka that does the same wherever all workers read the same topics.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

log = logging.getLogger(__name__)


class WholeNumbers(RangePartitionAssignor):  # type: ignore[misc]  # aiokafka's types are not ours
    """Divides the partition numbers into ranges, one a worker, for all topics alike.

    A worker gets of its numbers the topics that it reads. What it does not read waits in Kafka,
    until the number's worker is one that does.
    """

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Return what each member gets, by its id.

        Args:
            cluster: Knows the partitions of every topic that some member reads.
            members: What each member said of itself.
        """
        topics = sorted({topic for told in members.values() for topic in told.subscription})
        known = {topic: cluster.partitions_for_topic(topic) or set() for topic in topics}
        numbers = sorted(set().union(*known.values()))
        each, more = divmod(len(numbers), len(members))
        assigned, begin = {}, 0
        for place, member in enumerate(sorted(members)):
            end = begin + each + (place < more)
            own, begin = set(numbers[begin:end]), end
            read = set(members[member].subscription)
            for topic in topics:
                if topic not in read and own & known[topic]:
                    log.warning(
                        "%s: %d partitions wait, the worker that has their numbers does not read "
                        "this topic (fix: give all workers the same catalog)",
                        topic,
                        len(own & known[topic]),
                    )
            shares = [(topic, sorted(own & known[topic])) for topic in topics if topic in read]
            assigned[member] = ConsumerProtocolMemberAssignment(cls.version, shares, b"")
        return assigned
