"""Sending interactions to Kafka: each one valid, keyed by customer, and its delivery awaited.

Nothing leaves unchecked: what a worker would reject is refused here, where somebody can still mend
it. acks=all and an idempotent producer, so that a retry inside makes no duplicate; whoever sends
the same interaction again keeps its event_id, which is what makes that harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import orjson
from kafka.errors import KafkaError, MessageSizeTooLargeError

from pipeline import topics
from pipeline.brokers import explained
from pipeline.decode import Decoded, Reason, decode, known_channels
from pipeline.embedded.stack import running
from pipeline.errors import FatalError, RejectedRecord, RetryableError
from pipeline.identify import partition_key
from pipeline.producers.delivery import MAX_IN_FLIGHT, Deliveries, Failure
from pipeline.producers.kafka_client import KafkaClient, options
from pipeline.settings import Settings
from pipeline.topics import TopicPartition
from schemas.interaction import Envelope

#: Seconds after which an unacknowledged record counts as not delivered.
DELIVERY_SECONDS = 60.0
#: Milliseconds a record may wait for others.
LINGER_MS = 20
#: The same where nobody waits for the single record; fewer and larger requests.
BULK_LINGER_MS = 250

# Longest wait for the answer to one request.
_REQUEST_SECONDS = 30.0
# Once one batch has failed, others may still be acknowledged, by other brokers or just now.
_GRACE_SECONDS = 2.0


def checker(channels: frozenset[str], max_bytes: int) -> Callable[[bytes], Decoded]:
    """Return what validates an interaction for sending.

    As ``pipeline.decode`` does for workers, and its channel must be one of the catalog, or there is
    no topic to send it to. What it returns raises RejectedRecord.

    Args:
        channels: Channels that the catalog declares.
        max_bytes: Largest interaction that workers accept.
    """
    known = known_channels(channels)

    def check(value: bytes) -> Decoded:
        decoded = decode(value, known, max_bytes)
        if decoded.interaction.channel not in channels:
            raise RejectedRecord(
                Reason.UNKNOWN_CHANNEL.value, "the catalog declares no such channel", "channel"
            )
        return decoded

    return check


def with_broker(settings: Settings) -> Settings:
    """Return settings that name a broker: the configured one, or that of a running stack.

    Raises:
        FatalError: Neither is there. A broker started for the occasion keeps its records in memory
            and would end with everything in it.
    """
    if settings.kafka is not None:
        return settings
    found = running(settings.home)
    if found is None or found.kafka is None:
        raise FatalError(
            "no Kafka to produce to: none is configured and no embedded one is running (fix: run "
            "`touchline up` in another terminal, or set TOUCHLINE_KAFKA)"
        )
    if not found.lasting:
        raise FatalError(
            f"the embedded stack in {settings.home} belongs to another command (process "
            f"{found.pid}) and ends with it (fix: wait for that, or keep one running with "
            "`touchline up`)"
        )
    return settings.model_copy(update={"kafka": found.kafka, "kafka_security": "PLAINTEXT"})


class Producer:
    """Sends interactions; a context manager that leaves nothing unsaid.

    Leaving the block waits until Kafka has acknowledged everything and raises where it did not.
    Safe to use from several threads.

    Args:
        settings: Where Kafka is, or where an embedded stack runs; ``max_record_bytes`` limits a
            record.
        channels: Channels that the catalog declares, each with its topic in Kafka already
            (``pipeline.topics.ensure``).
        timeout: Seconds after which an unacknowledged record counts as not delivered.
        linger_ms: Milliseconds a record may wait for others to share a request with it.
        max_in_flight: Bytes sent and not acknowledged before ``send`` waits.

    Raises:
        RetryableError: From the context manager: no broker answers.
        FatalError: From the context manager: no broker is configured or running, or a channel has
            no topic.
    """

    def __init__(
        self,
        settings: Settings,
        channels: frozenset[str],
        timeout: float = DELIVERY_SECONDS,
        linger_ms: int = LINGER_MS,
        max_in_flight: int = MAX_IN_FLIGHT,
    ) -> None:
        self._settings = settings
        self._topics = {channel: topics.interactions(settings, channel) for channel in channels}
        self._check = checker(channels, settings.max_record_bytes)
        self._timeout = timeout
        self._request = min(_REQUEST_SECONDS, timeout / 2)
        # kafka-python expires records by itself, but not while it looks for a broker to give it a
        # producer id: then nobody would ever hear of them
        self._patience = timeout + self._request + _GRACE_SECONDS
        self._linger_ms = linger_ms
        self._deliveries = Deliveries(max_in_flight)
        self._kafka: KafkaClient | None = None

    def __enter__(self) -> Producer:
        """Connect."""
        settings = with_broker(self._settings)
        with topics.admin(settings) as client:
            missing = sorted(set(self._topics.values()) - set(client.list_topics()))
        if missing:
            raise FatalError(
                f"no such topic: {', '.join(missing)} (fix: start a worker, or call "
                "pipeline.topics.ensure; a topic is never made by sending to it)"
            )
        try:
            self._kafka = KafkaClient(
                **options(settings, self._timeout, self._request, self._linger_ms)
            )
        except KafkaError as error:
            raise explained(error, settings, f"no Kafka broker at {settings.kafka}") from error
        return self

    def send(self, interaction: Envelope | Mapping[str, Any], reference: object = None) -> None:
        """Validate and send an interaction.

        Args:
            interaction: A model, or what its JSON says.
            reference: Handed back with a failure.

        Raises:
            RejectedRecord: It is not valid, too large, or its channel is not in the catalog.
            RetryableError: Kafka does not take records (any more); this one was not sent.
            FatalError: Kafka will not take records; this one was not sent.
        """
        try:
            if isinstance(interaction, Envelope):
                interaction = interaction.model_dump(mode="json", exclude_none=True, warnings=False)
            value = orjson.dumps(interaction)
        except (TypeError, ValueError) as error:
            raise RejectedRecord(
                Reason.INVALID_JSON.value, f"JSON cannot hold it: {type(error).__name__}"
            ) from None
        self.send_raw(value, reference)

    def send_raw(self, value: bytes, reference: object = None) -> None:
        """Validate and send an interaction as it is.

        Args:
            value: Its JSON, which Kafka gets unchanged.
            reference: Handed back with a failure.

        Raises:
            RejectedRecord: As ``send``.
            RetryableError: As ``send``.
            FatalError: As ``send``.
        """
        self.send_decoded(value, self.check(value), reference)

    def check(self, value: bytes) -> Decoded:
        """Validate an interaction without sending it.

        Raises:
            RejectedRecord: As ``send``.
        """
        return self._check(value)

    def send_decoded(self, value: bytes, decoded: Decoded, reference: object = None) -> None:
        """Send an interaction that ``check`` has passed.

        Args:
            value: Its JSON.
            decoded: What ``check`` returned for it.
            reference: Handed back with a failure.

        Raises:
            RejectedRecord: The client refuses its size.
            RetryableError: As ``send``.
            FatalError: As ``send``.
        """
        interaction = decoded.interaction
        self._put(interaction.channel, partition_key(interaction.identifiers), value, reference)

    def send_unchecked(self, channel: str, value: bytes, reference: object = None) -> None:
        """Send what nobody has checked: to pass on what others sent, or to see it rejected.

        Args:
            channel: The channel whose topic gets it, whatever the value says.
            value: Any bytes.
            reference: Handed back with a failure.

        Raises:
            RejectedRecord: The channel is not in the catalog, or the client refuses the size.
            RetryableError: As ``send``.
            FatalError: As ``send``.
        """
        try:
            key: bytes | None = partition_key(self._check(value).interaction.identifiers)
        except RejectedRecord:
            key = None  # nobody's: any partition will do
        self._put(channel, key, value, reference)

    def _put(self, channel: str, key: bytes | None, value: bytes, reference: object) -> None:
        topic = self._topics.get(channel)
        if topic is None:
            raise RejectedRecord(
                Reason.UNKNOWN_CHANNEL.value, "the catalog declares no such channel", "channel"
            )
        deliveries, kafka = self._deliveries, self._connection()
        if not deliveries.wait_for_room(self._patience):
            self._abandon(f"acknowledged nothing for {self._patience:.0f} s")
        deliveries.check()
        ticket = deliveries.begin(reference, value)
        try:
            future = kafka.send(topic, value, key)
        except BaseException as error:
            deliveries.withdraw(ticket)
            if isinstance(error, MessageSizeTooLargeError):
                raise RejectedRecord(Reason.TOO_LARGE.value, str(error)) from None
            if isinstance(error, KafkaError):
                raise RetryableError(f"Kafka does not take records: {error}") from error
            raise
        future.add_callback(deliveries.succeed, ticket)
        future.add_errback(deliveries.fail, ticket)

    def flush(self) -> None:
        """Wait until every record is acknowledged or has failed.

        Raises:
            RetryableError: Kafka stopped taking records; ``take_failures`` has those not confirmed.
            FatalError: Kafka refuses them for good; ``take_failures`` has them.
        """
        self._connection()
        deliveries = self._deliveries
        # linger_ms sends what is buffered: nothing needs kafka-python's flush, which waits for
        # each batch in turn and would sit out the timeout of every one
        if not deliveries.wait_for_all(self._patience):
            self._abandon(f"acknowledged nothing for {self._patience:.0f} s")
        if deliveries.in_flight and not deliveries.wait_for_all(_GRACE_SECONDS, stopped=False):
            self._abandon("stopped taking records")
        deliveries.check()

    @property
    def delivered(self) -> int:
        """Records that Kafka acknowledged."""
        return self._deliveries.delivered

    @property
    def failed(self) -> int:
        """Records that it refused or did not confirm."""
        return self._deliveries.failed

    @property
    def ranges(self) -> dict[TopicPartition, tuple[int, int]]:
        """First and last offset of the acknowledged records, by topic and partition."""
        return dict(self._deliveries.ranges)

    def take_failures(self) -> list[Failure]:
        """Return what failed since the last call; whoever takes it answers for it."""
        return self._deliveries.take_failures()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Flush and close.

        Raises:
            RetryableError: Records were not delivered and nobody took the failures.
            FatalError: As RetryableError, for good.
        """
        if self._kafka is None:
            return
        kafka = self._kafka
        try:
            self.flush()
        except (RetryableError, FatalError):
            if error is None and self._deliveries.take_failures():
                raise
        except BaseException:  # interrupted: wait for nothing more
            kafka.abort()
            raise
        finally:
            kafka.close(self._timeout)
            self._kafka = None
        untaken = self._deliveries.take_failures()
        if untaken and error is None:
            raise RetryableError(f"{len(untaken)} records were not delivered: {untaken[0].error}")

    def _connection(self) -> KafkaClient:
        if self._kafka is None:
            raise FatalError("the producer is not open: use it as a context manager")
        return self._kafka

    def _abandon(self, why: str) -> None:
        self._deliveries.abandon(RetryableError(f"Kafka {why}"))
        self._connection().abort()
