"""What became of the records that were sent, counted as Kafka acknowledges them.

kafka-python buffers without a limit and hands out one future a record. Here the records in flight
are bounded in bytes, a record is forgotten once it is acknowledged, and only what failed is kept.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from kafka import errors
from kafka.producer.future import RecordMetadata

from pipeline.errors import FatalError, RetryableError, TouchlineError
from pipeline.topics import TopicPartition

#: Bytes in flight before ``wait_for_room`` blocks.
MAX_IN_FLIGHT = 16 << 20
#: Failures that are kept for the caller; so many that nobody takes stop the producer.
MAX_FAILURES = 10_000
#: What a record in flight costs beside its bytes: its future, callbacks and entry here.
_OVERHEAD = 1_500

#: Errors that concern one record and not the connection.
_OF_THE_RECORD = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidRecordError,
    errors.InvalidTimestampError,
    errors.PolicyViolationError,
)
_FORBIDDEN = (errors.AuthorizationError, errors.SaslAuthenticationFailedError)


@dataclass(frozen=True)
class Failure:
    """A record that Kafka did not confirm.

    Attributes:
        reference: What the caller gave with the record, e.g. its line.
        value: The record.
        reason: ``refused`` by the broker, it is not stored; or ``not_confirmed``, it may be.
        error: What happened, in words.
    """

    reference: object
    value: bytes
    reason: str
    error: str


class Deliveries:
    """Counts of records in flight, delivered and failed; safe to use from several threads.

    Args:
        max_in_flight: Bytes in flight before ``wait_for_room`` blocks.
    """

    def __init__(self, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self._limit = max_in_flight
        self._changed = threading.Condition()
        self._in_flight: dict[int, tuple[object, bytes]] = {}
        self._bytes = 0
        self._tickets = 0
        self._failures: deque[Failure] = deque()
        self._stopped: TouchlineError | None = None
        #: Records that Kafka acknowledged.
        self.delivered = 0
        #: Records that it did not, taken or not.
        self.failed = 0
        #: First and last offset written, by topic and partition.
        self.ranges: dict[TopicPartition, tuple[int, int]] = {}

    @property
    def in_flight(self) -> int:
        """Records sent and not settled yet."""
        return len(self._in_flight)

    def begin(self, reference: object, value: bytes) -> int:
        """Register a record that is about to be sent; returns its ticket."""
        with self._changed:
            self._tickets += 1
            self._in_flight[self._tickets] = (reference, value)
            self._bytes += len(value) + _OVERHEAD
            return self._tickets

    def withdraw(self, ticket: int) -> None:
        """Forget a record that was not sent after all."""
        with self._changed:
            self._settle(ticket)

    def succeed(self, ticket: int, metadata: RecordMetadata) -> None:
        """Kafka acknowledged a record."""
        place, offset = (metadata.topic, metadata.partition), metadata.offset
        with self._changed:
            if self._settle(ticket) is None:
                return
            self.delivered += 1
            first, last = self.ranges.get(place, (offset, offset))
            self.ranges[place] = (min(first, offset), max(last, offset))

    def fail(self, ticket: int, error: BaseException) -> None:
        """A record was not acknowledged."""
        text = str(error) or type(error).__name__
        with self._changed:
            record = self._settle(ticket)
            if record is None:
                return
            if isinstance(error, _OF_THE_RECORD):
                self._failures.append(Failure(*record, "refused", text))
                if len(self._failures) >= MAX_FAILURES:
                    self._stop(FatalError(f"the broker refused {MAX_FAILURES} records: {text}"))
            else:
                self._failures.append(Failure(*record, "not_confirmed", text))
                kind = FatalError if isinstance(error, _FORBIDDEN) else RetryableError
                self._stop(kind(f"Kafka does not take records: {text}"))
            self.failed += 1

    def abandon(self, error: TouchlineError) -> None:
        """Give up every record in flight: whether it is stored is not known."""
        with self._changed:
            for reference, value in self._in_flight.values():
                self._failures.append(Failure(reference, value, "not_confirmed", str(error)))
            self.failed += len(self._in_flight)
            self._in_flight.clear()
            self._bytes = 0
            self._stop(error)

    def check(self) -> None:
        """Raise the error that stopped delivery, if one did."""
        if self._stopped is not None:
            raise self._stopped

    def take_failures(self) -> list[Failure]:
        """Return the failures since the last call."""
        with self._changed:
            taken = list(self._failures)
            self._failures.clear()
            return taken

    def wait_for_room(self, seconds: float) -> bool:
        """Wait until there is room for a record or delivery has stopped; False if time ran out."""
        if self._bytes < self._limit:
            return True
        with self._changed:
            # resumes at half, or every acknowledgement would wake the sender for one record
            return self._changed.wait_for(
                lambda: self._bytes <= self._limit // 2 or self._stopped is not None, seconds
            )

    def wait_for_all(self, seconds: float, stopped: bool = True) -> bool:
        """Wait until nothing is in flight; False if time ran out.

        Args:
            seconds: How long to wait at most.
            stopped: Whether that delivery has stopped ends the waiting, too.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._in_flight or (stopped and self._stopped is not None), seconds
            )

    def _settle(self, ticket: int) -> tuple[object, bytes] | None:
        """Take a record out of flight and wake who waits; call it with the lock held."""
        record = self._in_flight.pop(ticket, None)
        if record is not None:
            self._bytes -= len(record[1]) + _OVERHEAD
            if not self._in_flight or self._bytes <= self._limit // 2:
                self._changed.notify_all()
        return record

    def _stop(self, error: TouchlineError) -> None:
        if self._stopped is None:
            self._stopped = error
        self._changed.notify_all()
