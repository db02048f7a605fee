"""Reading a range of the input topics again: the workers' offsets, set back.

Nothing is produced. Workers read on from the earlier offset, find what is stored already and store
what is missing; so there is no end to give, they read on to where they were. For rows that were
lost in ClickHouse: a backup that was put back, rows deleted by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pipeline import group, topics
from pipeline.errors import FatalError, SettingsError
from pipeline.settings import Settings
from pipeline.topics import TopicPartition


@dataclass(frozen=True)
class Range:
    """What is to be read again of one partition.

    Attributes:
        place: Topic and partition.
        first: The offset that workers go back to.
        end: Where they would read on otherwise.
    """

    place: TopicPartition
    first: int
    end: int


@dataclass(frozen=True)
class Start:
    """Where reading is to begin; one of the three.

    Attributes:
        offset: At this offset.
        since: At the first record that is as young as this by Kafka's timestamp.
        beginning: At the first record that is kept.
    """

    offset: int | None = None
    since: datetime | None = None
    beginning: bool = False


def places(settings: Settings, names: list[str], wanted: list[str]) -> list[str]:
    """Return the topics that some words name.

    Args:
        settings: Unused but for the message.
        names: Input topics that are there.
        wanted: ``TOPIC`` or ``TOPIC:PARTITION``; all topics when empty.

    Raises:
        SettingsError: A word names none of them.
    """
    for word in wanted:
        if word.partition(":")[0] not in names:
            raise SettingsError(
                f"{word.partition(':')[0]} is no topic that workers of group "
                f"{settings.kafka_group!r} read (fix: one of {', '.join(sorted(names))})"
            )
    return sorted({word.partition(":")[0] for word in wanted} or set(names))


def ranges(settings: Settings, names: list[str], wanted: list[str], start: Start) -> list[Range]:
    """Return what would be read again.

    Args:
        settings: Where Kafka is.
        names: Input topics that are there.
        wanted: ``TOPIC`` or ``TOPIC:PARTITION``; all topics when empty.
        start: Where to begin.

    Returns:
        Only partitions that go back; none goes forward.

    Raises:
        SettingsError: A word names no topic or partition, or the offset cannot be.
        FatalError: The offset was deleted by Kafka.
        RetryableError: Kafka does not answer.
    """
    chosen = places(settings, names, wanted)
    starts, ends = group.bounds(settings, chosen)
    numbers = _numbers(wanted, ends)
    ends = {place: end for place, end in ends.items() if _is_meant(place, wanted, numbers)}
    done = group.committed(settings)
    firsts = _firsts(settings, start, starts, ends)
    return [
        Range(place, first, done[place])
        for place, first in sorted(firsts.items())
        if place in done and first < done[place]
    ]


def apply(settings: Settings, found: list[Range]) -> None:
    """Set the workers' offsets back.

    Raises:
        FatalError: A worker runs, or Kafka refuses to.
        RetryableError: Kafka does not answer.
    """
    group.reset(settings, {each.place: each.first for each in found})


def input_topics(settings: Settings, known: list[str]) -> list[str]:
    """Return those of some topics that are there.

    Raises:
        FatalError: None is.
        RetryableError: Kafka does not answer.
    """
    with topics.admin(settings) as client:
        there = sorted(set(client.list_topics()) & set(known))
    if not there:
        raise FatalError("none of the input topics is there (fix: check TOUCHLINE_KAFKA)")
    return there


def _numbers(wanted: list[str], ends: Mapping[TopicPartition, int]) -> set[TopicPartition]:
    """Return the partitions that words name.

    Raises:
        SettingsError: There is none of that number.
    """
    found = set()
    for word in wanted:
        topic, colon, number = word.partition(":")
        if not colon:
            continue
        place = (topic, int(number)) if number.isdecimal() else (topic, -1)
        if place not in ends:
            count = sum(name == topic for name, _ in ends)
            raise SettingsError(f"{word}: no such partition (fix: 0 to {count - 1})")
        found.add(place)
    return found


def _is_meant(place: TopicPartition, wanted: list[str], numbers: set[TopicPartition]) -> bool:
    return not wanted or place[0] in wanted or place in numbers


def _firsts(
    settings: Settings,
    start: Start,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    if start.beginning:
        return {place: starts[place] for place in ends}
    if start.since is not None:
        return group.offsets_at(settings, ends, int(start.since.timestamp() * 1000))
    wanted = start.offset or 0
    for place in ends:
        if wanted < starts[place]:
            raise FatalError(
                f"{place[0]}[{place[1]}] begins with offset {starts[place]}: what came before was "
                f"deleted by Kafka (fix: --from-beginning, or --from-offset {starts[place]})"
            )
    return dict.fromkeys(ends, wanted)
