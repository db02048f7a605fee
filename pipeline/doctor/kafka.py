"""What can be seen of Kafka without writing to it: brokers, topics, the workers' group.

Its clock is not looked at: what records carry are the clocks of their producers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kafka.errors import KafkaError

from pipeline import group, topic_plan, topics
from pipeline.doctor.findings import Result, fail, ok, warn
from pipeline.errors import RetryableError
from pipeline.settings import Settings
from pipeline.topics import TopicPartition
from schemas.catalog import Catalog

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


def reachable(settings: Settings) -> Iterator[Result]:
    """Yield whether brokers answer, and whether others can listen.

    Raises:
        RetryableError: No broker answers.
        SettingsError: A certificate cannot be used, or credentials are missing.
    """
    with topics.admin(settings) as client:
        try:
            brokers = client.describe_cluster()["brokers"]
        except KafkaError as error:
            raise RetryableError(f"Kafka does not tell its brokers: {error!r}") from error
    hosts = sorted(f"{each['host']}:{each['port']}" for each in brokers)
    yield ok(f"{len(hosts)} brokers ({', '.join(hosts)}), {settings.kafka_security}")
    outside = [each for each in hosts if each.rpartition(":")[0] not in LOOPBACK]
    if outside and settings.kafka_security in ("PLAINTEXT", "SASL_PLAINTEXT"):
        yield warn(
            f"records and passwords go to {outside[0]} unencrypted",
            "set TOUCHLINE_KAFKA_SECURITY=SASL_SSL, or SSL with a client certificate",
        )


def topics_as_they_are(settings: Settings, catalog: Catalog) -> Iterator[Result]:
    """Yield what is well and what is not with the topics.

    Raises:
        RetryableError: Kafka does not answer.
    """
    wanted = topic_plan.names(settings, catalog)
    yield from topic_plan.judge(settings, catalog, topic_plan.present(settings, wanted))


def consumer_group(settings: Settings, catalog: Catalog) -> Iterator[Result]:
    """Yield who reads, how far they are, and whether something was deleted before they did.

    Raises:
        RetryableError: Kafka does not answer.
    """
    inputs = topics.inputs(settings, catalog)
    there = sorted(topic_plan.present(settings, inputs))
    if not there:
        return
    found = group.describe(settings)
    done = group.committed(settings)
    starts, ends = group.bounds(settings, there)
    yield from lost(starts, ends, done)
    left = sum(max(end - max(done.get(place, 0), starts[place]), 0) for place, end in ends.items())
    partitions = len({number for _, number in ends})
    state = f"group {settings.kafka_group!r}" + (f" is {found.state}" if found.state else "")
    if found.active:
        yield ok(f"{state}, {len(found.members)} workers, {left:,} records wait")
        if len(found.members) > partitions:
            yield warn(
                f"{len(found.members)} workers share {partitions} partitions: some have nothing",
                "run fewer workers, or more partitions (docs/scaling.md)",
            )
    elif left and found.state:
        yield warn(f"{state}: no worker runs, and {left:,} records wait", "run `touchline worker`")
    else:
        yield ok(f"{state}, {left:,} records wait")


def lost(
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    done: Mapping[TopicPartition, int],
) -> Iterator[Result]:
    """Yield the partitions whose next record is no longer there, or not there yet.

    Args:
        starts: First offset that is kept of every partition.
        ends: Offset after the last one.
        done: Committed offsets.
    """
    for place in sorted(set(done) & set(ends)):
        name = f"{place[0]}[{place[1]}]"
        if done[place] < starts[place]:
            yield fail(
                f"{name}: {starts[place] - done[place]:,} records were deleted by Kafka before "
                f"they were stored, offsets {done[place]} to {starts[place] - 1}",
                "raise retention.ms of the topic; what is gone has to come from producers again",
            )
        elif done[place] > ends[place]:
            yield fail(
                f"{name}: offset {done[place]} was committed and the topic ends at {ends[place]}: "
                "it was made anew, or lost records",
                "stop the workers, then `touchline replay range --topic "
                f"{place[0]}:{place[1]} --from-beginning`",
            )
