"""The topics as they should be and as they are: for ``touchline topics`` and ``touchline doctor``.

Workers make what is missing by themselves (``topics.ensure``). Who runs a cluster rather makes the
topics beforehand, with partitions and replication that were thought about, and looks whether what
is there would lose or refuse something.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from pipeline import topics
from pipeline.doctor.findings import Result, fail, ok, warn
from pipeline.errors import FatalError, RetryableError
from pipeline.settings import Settings
from schemas.catalog import Catalog

log = logging.getLogger(__name__)

#: With so many copies one may be away while records are still acknowledged by two.
SAFE_REPLICATION = 3
#: What a rejected record's headers and Kafka's own framing take beside its value, bytes.
_BESIDE_VALUE = 8_192
_DAY_MS = 86_400_000
#: Kafka's defaults, where a broker does not tell.
_DEFAULT_MESSAGE_BYTES = 1_048_588


@dataclass(frozen=True)
class Topic:
    """A topic that is there.

    Attributes:
        name: Its name.
        partitions: How many it has.
        replication: Copies of the partition that has the fewest.
        in_sync: Copies in sync of the partition that has the fewest.
        leaderless: Partitions without a leader: nothing can be written to or read from them.
        config: What the broker tells of its configuration; empty where it tells none.
    """

    name: str
    partitions: int
    replication: int
    in_sync: int
    leaderless: list[int] = field(default_factory=list)
    config: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """A topic to be made.

    Attributes:
        name: Its name.
        partitions: How many.
        replication: Copies of each.
        config: Beside the broker's defaults.
    """

    name: str
    partitions: int
    replication: int
    config: dict[str, str]


def names(settings: Settings, catalog: Catalog) -> list[str]:
    """Return every topic that workers use: one a channel, the rejects, the moments."""
    outputs = [topics.rejected(settings), topics.moments(settings)]
    return [*topics.inputs(settings, catalog), *outputs]


def present(settings: Settings, wanted: Sequence[str]) -> dict[str, Topic]:
    """Return those of some topics that are there.

    Raises:
        RetryableError: Kafka does not answer.
    """
    with topics.admin(settings) as client:
        try:
            found = sorted(set(client.list_topics()) & set(wanted))
            described = client.describe_topics(found) if found else []
            config = _config(client, found)
        except KafkaError as error:
            raise RetryableError(f"Kafka does not tell its topics: {error!r}") from error
    return {one["name"]: _topic(one, config.get(one["name"], {})) for one in described}


def plan(
    settings: Settings,
    catalog: Catalog,
    there: dict[str, Topic],
    partitions: int | None = None,
    replication: int | None = None,
) -> list[Wanted]:
    """Return what is to be made.

    Args:
        settings: Defaults of partitions and replication.
        catalog: Names the channels.
        there: As ``present`` returned it.
        partitions: Of each new topic; the input topics' own number where some are there.
        replication: Copies of each new topic's partitions.

    Raises:
        FatalError: Another number of partitions is asked for than the input topics have: they must
            all have the same, and adding some moves customers.
    """
    inputs = topics.inputs(settings, catalog)
    counts = {there[name].partitions for name in inputs if name in there}
    number = partitions or (max(counts) if counts else settings.partitions)
    if counts and counts != {number}:
        has = ", ".join(f"{name} {there[name].partitions}" for name in inputs if name in there)
        raise FatalError(
            f"all interaction topics must have the same number of partitions, and there are: {has} "
            f"(fix: --partitions {max(counts)}, or see docs/replay.md on adding partitions)"
        )
    copies = replication or settings.replication
    return [
        Wanted(name, number, copies, configuration(copies))
        for name in names(settings, catalog)
        if name not in there
    ]


def configuration(replication: int) -> dict[str, str]:
    """Return what a new topic is given beside the broker's defaults.

    With three copies or more an acknowledged record stands on two: by Kafka's default one would do,
    and it could be the one that is lost.
    """
    return {"min.insync.replicas": "2"} if replication >= SAFE_REPLICATION else {}


def create(settings: Settings, wanted: Sequence[Wanted]) -> None:
    """Make topics; one that somebody else makes meanwhile is left as it is.

    Raises:
        FatalError: Kafka refuses to, for example for want of brokers for the copies.
        RetryableError: Kafka does not answer.
    """
    with topics.admin(settings) as client:
        for each in wanted:
            new = NewTopic(
                each.name, each.partitions, each.replication, topic_configs=each.config or None
            )
            try:
                client.create_topics([new])
            except TopicAlreadyExistsError:
                log.warning("topic %s was made by somebody else just now", each.name)
            except KafkaError as error:
                if error.retriable:
                    raise RetryableError(f"topic {each.name}: {error!r}") from error
                raise FatalError(
                    f"Kafka does not make topic {each.name} with {each.partitions} partitions in "
                    f"{each.replication} copies: {error} (fix: fewer copies by --replication, or "
                    "more brokers; or a user who may make topics)"
                ) from error


def judge(settings: Settings, catalog: Catalog, there: dict[str, Topic]) -> Iterator[Result]:
    """Yield what is well and what is not with the topics.

    Args:
        settings: Largest record, longest outage to ride out.
        catalog: Names the channels.
        there: As ``present`` returned it.
    """
    inputs = topics.inputs(settings, catalog)
    missing = [name for name in names(settings, catalog) if name not in there]
    if missing:
        yield warn(
            f"not there yet: {', '.join(missing)}; the first worker makes them with "
            f"{settings.partitions} partitions in {settings.replication} copies",
            "run `touchline topics create`, with the numbers you want",
        )
    yield from _partitions([there[name] for name in inputs if name in there])
    for each in there.values():
        yield from _copies(each, settings)
        yield from _rules(each, settings, each.name in inputs)
    told = sum(bool(each.config) for each in there.values())
    if there:
        each = next(iter(there.values()))
        yield ok(
            f"{len(there)} topics, the input topics of {each.partitions} partitions"
            + ("" if told else "; the broker does not tell their configuration")
        )


def _partitions(inputs: list[Topic]) -> Iterator[Result]:
    counts = Counter(each.partitions for each in inputs)
    if len(counts) > 1:
        most = max(counts)
        small = [each.name for each in inputs if each.partitions < most]
        yield fail(
            "the interaction topics do not all have the same number of partitions: "
            + ", ".join(f"{each.name} {each.partitions}" for each in inputs),
            f"stop all workers, then for each of {', '.join(small)}: `kafka-topics.sh --alter "
            f"--topic NAME --partitions {most}`",
        )


def _copies(topic: Topic, settings: Settings) -> Iterator[Result]:
    if topic.leaderless:
        yield fail(
            f"{topic.name}: partitions without a leader: {_listed(topic.leaderless)}",
            "bring back the brokers that hold their copies",
        )
    least = int(topic.config.get("min.insync.replicas", "1"))
    if topic.in_sync < least:
        yield fail(
            f"{topic.name}: {topic.in_sync} copies are in sync and {least} must be, so it takes no "
            "records",
            "bring back the brokers that hold the other copies",
        )
    elif topic.in_sync < topic.replication:
        yield warn(
            f"{topic.name}: {topic.in_sync} of {topic.replication} copies are in sync",
            "look at the brokers that hold the others",
        )
    if settings.embedded_kafka:
        return
    if topic.replication < SAFE_REPLICATION:
        yield warn(
            f"{topic.name}: {topic.replication} "
            f"{'copy' if topic.replication == 1 else 'copies'} of each partition; with fewer than "
            f"{SAFE_REPLICATION} a lost disk can lose records",
            "raise it with `kafka-reassign-partitions.sh`, and set TOUCHLINE_REPLICATION=3 for new "
            "ones",
        )
    elif least < 2:
        yield warn(
            f"{topic.name}: min.insync.replicas is {least}, so a record is acknowledged that "
            "stands on one disk only",
            f"`kafka-configs.sh --alter --entity-type topics --entity-name {topic.name} "
            "--add-config min.insync.replicas=2`",
        )


def _rules(topic: Topic, settings: Settings, is_input: bool) -> Iterator[Result]:
    """Yield what the configuration of a topic does that it should not."""
    change = f"`kafka-configs.sh --alter --entity-type topics --entity-name {topic.name}"
    if "compact" in topic.config.get("cleanup.policy", "delete"):
        yield fail(
            f"{topic.name} is compacted: of each customer only the last record would stay",
            f"{change} --add-config cleanup.policy=delete`",
        )
    kept = int(topic.config.get("retention.ms", "-1"))
    needed = max(int(settings.max_poll_interval * 1000), _DAY_MS)
    if 0 <= kept < needed:
        yield (fail if kept < settings.max_poll_interval * 1000 and is_input else warn)(
            f"{topic.name} keeps records for {kept / 3_600_000:.1f} hours; an outage may last "
            f"{settings.max_poll_interval / 3600:.1f} hours before workers give up, and somebody "
            "has to notice",
            f"{change} --add-config retention.ms={7 * _DAY_MS}`",
        )
    size = int(topic.config.get("max.message.bytes", str(_DEFAULT_MESSAGE_BYTES)))
    if size < settings.max_record_bytes + _BESIDE_VALUE:
        yield warn(
            f"{topic.name} takes records of up to {size:,} bytes, and TOUCHLINE_MAX_RECORD_BYTES "
            f"is {settings.max_record_bytes:,}",
            f"{change} --add-config max.message.bytes={settings.max_record_bytes + 65_536}`",
        )


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:10]))
    return shown + (", …" if len(numbers) > 10 else "")


def _topic(described: dict[str, Any], config: dict[str, str]) -> Topic:
    parts = described["partitions"]
    return Topic(
        described["name"],
        len(parts),
        min((len(part["replica_nodes"]) for part in parts), default=0),
        min((len(part["isr_nodes"]) for part in parts), default=0),
        [part["partition_index"] for part in parts if part["leader_id"] < 0],
        config,
    )


def _config(client: KafkaAdminClient, found: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what the broker tells of the configuration of topics: maybe nothing at all."""
    if not found:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in found]
    try:
        told = client.describe_configs(asked, config_filter="all")
    except KafkaError as error:  # who may use topics need not be allowed to see this
        log.info("the broker does not tell the configuration of topics: %r", error)
        return {}
    return {
        name: {key: str(each["value"]) for key, each in config.items() if each["value"] is not None}
        for name, config in told.get("topic", {}).items()
    }
