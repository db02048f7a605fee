"""Where records live: the names of the topics, and making sure that they are there.

``interactions.<channel>`` for every channel of the catalog, all with the same number of partitions
so that one worker has one customer's partition of every channel; ``interactions.rejected`` for what
could not be used; ``moments`` for moments of truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, sleep
from uuid import UUID

from kafka import KafkaAdminClient, KafkaConsumer
from kafka import TopicPartition as KafkaPartition
from kafka.admin import NewTopic, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError

from pipeline.broker_check import check
from pipeline.brokers import explained, kafka_python_options
from pipeline.errors import FatalError, RetryableError
from pipeline.settings import Settings
from schemas.catalog import Catalog

#: Seconds within which a broker must tell the ends of the topics.
ENDS_SECONDS = 15.0
#: Seconds within which brokers must know of a topic that was just made.
APPEAR_SECONDS = 15.0
#: A topic and a partition.
TopicPartition = tuple[str, int]


def interactions(settings: Settings, channel: str) -> str:
    """Return the topic of one channel."""
    return f"{settings.topic_prefix}interactions.{channel}"


def rejected(settings: Settings) -> str:
    """Return the topic of the records that could not be used."""
    return f"{settings.topic_prefix}interactions.rejected"


def moments(settings: Settings) -> str:
    """Return the topic of the moments of truth."""
    return f"{settings.topic_prefix}moments"


def alerter_group(settings: Settings) -> str:
    """Return the consumer group of the alerters."""
    return f"{settings.kafka_group}-alerter"


def inputs(settings: Settings, catalog: Catalog) -> list[str]:
    """Return the topics a worker reads, one per channel of the catalog."""
    return [interactions(settings, channel.id) for channel in catalog.channels]


@contextmanager
def admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """Open an admin client; what Kafka refuses in the block is told in our errors.

    Raises:
        SettingsError: The brokers never take who the settings say we are; names the setting.
        FatalError: They know us and do not allow it.
        RetryableError: No broker answers, or not now.
    """
    client = _connect(settings)
    try:
        yield client
    except KafkaError as error:
        raise explained(error, settings, "Kafka refuses") from error
    finally:
        client.close()


def _connect(settings: Settings) -> KafkaAdminClient:
    try:
        return KafkaAdminClient(**kafka_python_options(settings))
    except KafkaError as error:
        told = explained(error, settings, f"no Kafka broker at {settings.kafka}")
        if isinstance(told, FatalError):
            raise told from None
        check(settings)
        raise RetryableError(
            f"{told} (fix: start it, or check TOUCHLINE_KAFKA and TOUCHLINE_KAFKA_SECURITY)"
        ) from error


def ensure(settings: Settings, catalog: Catalog) -> dict[str, UUID]:
    """Create the topics that are missing and check those that are there.

    Returns:
        The id of every input topic. A topic that is deleted and made again gets another id, which
        is what tells its offsets apart from those of its predecessor.

    Raises:
        SettingsError: The brokers refuse what the settings say; names the setting.
        FatalError: The input topics do not all have the same number of partitions.
        RetryableError: No broker answers.
    """
    if settings.kafka_security != "PLAINTEXT":
        check(settings)  # kafka-python would try for long before it says less
    wanted = inputs(settings, catalog)
    with admin(settings) as client:
        present = set(client.list_topics())
        counts = {
            name: len(partitions)
            for name, (_, partitions) in _describe(client, present & set(wanted)).items()
        }
        partitions = max(counts.values(), default=settings.partitions)
        _create(client, settings, [name for name in wanted if name not in present], partitions)
        outputs = [rejected(settings), moments(settings)]
        missing = [name for name in outputs if name not in present]
        _create(client, settings, missing, settings.partitions)
        described = _appeared(client, wanted)
    counts = {name: len(ids) for name, (_, ids) in described.items()}
    if len(set(counts.values())) != 1:
        listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        raise FatalError(
            f"the interaction topics must have equal partition counts, they have: {listed} "
            "(fix: add partitions to the smaller ones while all workers are stopped)"
        )
    return {name: topic_id for name, (topic_id, _) in described.items()}


def identities(client: KafkaAdminClient, names: Iterable[str]) -> dict[str, UUID]:
    """Return the ids of topics that are there.

    Raises:
        RetryableError: Kafka does not tell.
    """
    return {name: topic_id for name, (topic_id, _) in _describe(client, names).items()}


class Watch:
    """Notices when a topic that is being read is deleted and made again, or gets more partitions.

    Its offsets then begin anew, and everything remembered of the old ones is wrong; or customers
    move to other partitions, in one channel before the others. Not for several threads at once.

    Args:
        settings: Where Kafka is.
        ids: Id of every topic, as ``ensure`` returned them.
    """

    def __init__(self, settings: Settings, ids: Mapping[str, UUID]) -> None:
        self._settings = settings
        self._ids = dict(ids)
        self._partitions: dict[str, int] = {}
        self._client: KafkaAdminClient | None = None

    def ends(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the ends of partitions by the same connection, for who only measures.

        The embedded broker tells the start of the last batch instead (see the function ``ends``).

        Raises:
            RetryableError: Kafka does not answer.
        """
        wanted = {KafkaPartition(*place): OffsetSpec.LATEST for place in places}
        if not wanted:
            return {}
        with self._connected() as client:
            found = client.list_partition_offsets(wanted)
        return {(tp.topic, tp.partition): at.offset for tp, at in found.items()}

    def check(self) -> None:
        """Compare the ids with those of now.

        Raises:
            FatalError: A topic is another one, or gone, or has other partitions than before.
            RetryableError: Kafka does not answer.
        """
        with self._connected() as client:
            present = set(client.list_topics())
            described = _describe(client, present & set(self._ids))
        for name, topic_id in self._ids.items():
            if name not in described or described[name][0] != topic_id:
                raise FatalError(
                    f"topic {name} was deleted while it was read (fix: start the worker again; it "
                    "makes the topic anew where it is gone)"
                )
            count = len(described[name][1])
            if count != self._partitions.setdefault(name, count):
                raise FatalError(
                    f"partitions were added to topic {name} while it was read (fix: stop every "
                    "worker, give all interaction topics the same number, start the workers again)"
                )

    @contextmanager
    def _connected(self) -> Iterator[KafkaAdminClient]:
        try:
            if self._client is None:
                self._client = _connect(self._settings)
            yield self._client
        except KafkaError as error:
            client, self._client = self._client, None
            if client is not None:
                client.close()
            told = f"Kafka does not tell its topics: {type(error).__name__}"
            raise explained(error, self._settings, told) from error


def ends(settings: Settings, names: Iterable[str]) -> dict[TopicPartition, int]:
    """Return the end offset of every partition of the topics (the next offset to be written).

    The high watermark of a fetch decides: the embedded broker answers the plain question for the
    latest offset with the start of the last batch.

    Raises:
        RetryableError: The broker does not answer within ``ENDS_SECONDS``.
    """
    try:
        consumer = KafkaConsumer(**kafka_python_options(settings), enable_auto_commit=False)
    except KafkaError as error:
        raise explained(error, settings, f"no Kafka broker at {settings.kafka}") from error
    try:
        partitions = [
            KafkaPartition(name, number)
            for name in names
            for number in sorted(consumer.partitions_for_topic(name) or ())
        ]
        consumer.assign(partitions)
        for partition, offset in consumer.end_offsets(partitions).items():
            consumer.seek(partition, offset)
        deadline = monotonic() + ENDS_SECONDS
        while any(consumer.highwater(partition) is None for partition in partitions):
            if monotonic() > deadline:
                raise RetryableError(f"the broker did not tell the ends of {', '.join(names)}")
            consumer.poll(timeout_ms=100)
        return {(tp.topic, tp.partition): consumer.highwater(tp) for tp in partitions}
    except KafkaError as error:
        raise explained(error, settings, "cannot read the ends of the topics") from error
    finally:
        consumer.close()


def committed(settings: Settings) -> dict[TopicPartition, int]:
    """Return the worker group's committed offset of every partition it has committed.

    Raises:
        RetryableError: No broker knows of groups yet: a new Kafka makes the topic that holds them
            when first asked, which takes it seconds.
        FatalError: As ``admin``.
    """
    with admin(settings) as client:
        offsets = client.list_group_offsets([settings.kafka_group])[settings.kafka_group]
    return {(tp.topic, tp.partition): meta.offset for tp, meta in offsets.items()}


def _create(
    client: KafkaAdminClient, settings: Settings, names: list[str], partitions: int
) -> None:
    if not names:
        return
    topics = [NewTopic(name, partitions, settings.replication) for name in names]
    try:
        client.create_topics(topics)
    except TopicAlreadyExistsError:
        return  # another worker was faster; the caller describes what is there


def _appeared(client: KafkaAdminClient, names: list[str]) -> dict[str, tuple[UUID, list[int]]]:
    """Describe topics that may be so new that the broker which is asked has not heard of them."""
    deadline = monotonic() + APPEAR_SECONDS
    while True:
        try:
            return _describe(client, names)
        except RetryableError:
            if monotonic() > deadline:
                raise
            sleep(0.1)


def _describe(client: KafkaAdminClient, names: Iterable[str]) -> dict[str, tuple[UUID, list[int]]]:
    names = sorted(names)
    if not names:
        return {}
    found: dict[str, tuple[UUID, list[int]]] = {}
    for topic in client.describe_topics(names):
        if topic["error_code"]:
            raise RetryableError(
                f"topic {topic['name']}: Kafka error {topic['error_code']}", "kafka"
            )
        partitions = [item["partition_index"] for item in topic["partitions"]]
        found[topic["name"]] = (UUID(str(topic["topic_id"])), partitions)
    return found
