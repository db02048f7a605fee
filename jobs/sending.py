"""Sending many interactions and accounting for every one: what ``produce`` and ``ingest`` share.

Read = delivered + invalid + undelivered, whatever happens in between: bad input, a broker that goes
away, Ctrl-C.
"""

from __future__ import annotations

import logging
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, cast

from rich.table import Table
from rich.text import Text

from jobs.console import err
from pipeline.decode import Decoded
from pipeline.errors import FatalError, RejectedInput, RejectedRecord, TouchlineError
from pipeline.producers.producer import Producer
from pipeline.producers.reject_file import RejectFile

#: Bad entries that are shown to a person, and listed in JSON.
SHOWN = 10
#: Reason code of what was read after Kafka had stopped taking records.
NOT_SENT = "not_sent"

_FAILURES_EVERY = 1_000


@dataclass(frozen=True)
class Ready:
    """An entry of the input that is a valid interaction.

    Attributes:
        number: Its place in the input.
        value: What is sent.
        decoded: The same, validated.
        raw: The entry as a reject file keeps it.
        also: Further interactions that it stands for: what is sent, and the same validated.
    """

    number: int
    value: bytes
    decoded: Decoded
    raw: bytes
    also: Sequence[tuple[bytes, Decoded]] = ()


@dataclass(frozen=True)
class Refused:
    """An entry of the input that is not.

    Attributes:
        number: Its place in the input.
        cause: Why.
        raw: The entry as a reject file keeps it, in pieces.
        line: Line of the file where ``number`` counts rows; 0 where it says nothing new.
    """

    number: int
    cause: RejectedRecord
    raw: Iterable[bytes]
    line: int = 0


@dataclass
class Tally:
    """What became of the entries of an input.

    Attributes:
        noun: What an entry is called: line or row.
        read: Entries read.
        also: Interactions that entries stood for beside their own; the numbers below count
            interactions, these included.
        delivered: Acknowledged by Kafka.
        invalid: Refused before they were sent, by reason.
        undelivered: Valid, and not confirmed by Kafka, by reason.
        shown: The first bad entries, without their content.
        last: Number of the last entry read.
        complete: Whether the input was read to its end.
        interrupted: Whether somebody pressed Ctrl-C.
        error: What ended the reading or sending early.
    """

    noun: str
    read: int = 0
    also: int = 0
    delivered: int = 0
    invalid: Counter[str] = field(default_factory=Counter)
    undelivered: Counter[str] = field(default_factory=Counter)
    shown: list[dict[str, str | int]] = field(default_factory=list)
    last: int = 0
    complete: bool = False
    interrupted: bool = False
    error: str | None = None

    @property
    def code(self) -> int:
        """Exit code: 130 interrupted, 1 something was not delivered, 0 all was."""
        if self.interrupted:
            return 130
        failed = self.error or self.invalid or self.undelivered
        return 2 if self.error and not self.read else 1 if failed else 0

    def check(self) -> None:
        """Raise where the sum does not hold.

        Raises:
            FatalError: Entries are missing from the account.
        """
        told = self.delivered + self.invalid.total() + self.undelivered.total()
        if told != self.read + self.also:
            beside = f" and {self.also} told of beside" if self.also else ""
            raise FatalError(
                f"{self.read} {self.noun}s were read{beside} and {told} are accounted for"
            )

    def as_json(self) -> dict[str, Any]:
        """Return the account as JSON values."""
        return {
            "read": self.read,
            "complete": self.complete,
            "delivered": self.delivered,
            "invalid": dict(self.invalid.most_common()),
            "undelivered": dict(self.undelivered.most_common()),
            "problems": self.shown,
            "interrupted": self.interrupted,
            "error": self.error,
        }

    def print(self) -> None:
        """Show a person the bad entries and their counts, on standard error."""
        if self.shown:
            table = Table(self.noun, "field", "reason", "what is wrong", box=None)
            for item in self.shown:
                keys = (self.noun, "field", "reason", "error")
                table.add_row(*(Text(str(item[key])) for key in keys))
            err.print(table)
        counts = self.invalid + self.undelivered
        if counts.total() > len(self.shown):
            err.print(f"… and {counts.total() - len(self.shown):,} more")
        for reason, count in counts.most_common():
            err.print(f"{count:>12,}  {reason}", markup=False)
        if self.error:
            err.print(self.error, style="red", markup=False, soft_wrap=True)


class Interrupt:
    """Ctrl-C in order: the first one ends the reading, the second one everything.

    While a read may block forever (a pipe), the first one raises KeyboardInterrupt at once; while
    a record is being sent it waits, so that no record is sent and not counted.
    """

    def __init__(self) -> None:
        self.requested = False
        self._reading = False
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        """Take over SIGINT."""
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give SIGINT back."""
        signal.signal(signal.SIGINT, self._before)

    def watch(self, items: Iterable[Ready | Refused]) -> Iterator[Ready | Refused]:
        """Yield items until somebody interrupts."""
        iterator = iter(items)
        while not self.requested:
            try:
                self._reading = True
                item = next(iterator)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._reading = False
            yield item

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if again or self._reading:
            raise KeyboardInterrupt


def send_all(
    items: Iterable[Ready | Refused],
    producer: Producer,
    rejects: RejectFile,
    tally: Tally,
    on_progress: Callable[[], None],
    keep_rest: bool = False,
) -> None:
    """Send what is valid, keep what is not, and wait for every delivery.

    Args:
        items: The input.
        producer: Open.
        rejects: Takes whole what was not delivered.
        tally: Is filled in.
        on_progress: Called now and then.
        keep_rest: Whether to read on after Kafka has stopped taking records, into the rejects.
    """
    with Interrupt() as interrupt:
        sender = _Sender(producer, rejects, tally)
        try:
            for item in interrupt.watch(items):
                tally.read += 1
                tally.last = item.number
                sender.take(item)
                if tally.read % _FAILURES_EVERY == 0:
                    sender.settle()
                    on_progress()
                if sender.stopped and not keep_rest:
                    break
            else:
                tally.complete = not interrupt.requested
        except RejectedInput as error:
            tally.error = str(error)
        sender.finish()
        tally.interrupted = interrupt.requested
    tally.check()


def quiet_kafka() -> None:
    """Keep kafka-python from repeating on standard error what is told once, and in words, here.

    Unless somebody asked to see what happens (``--verbose``).
    """
    if not logging.getLogger().isEnabledFor(logging.INFO):
        logging.getLogger("kafka").setLevel(logging.CRITICAL)


class _Sender:
    """Sends items and writes down what does not arrive."""

    def __init__(self, producer: Producer, rejects: RejectFile, tally: Tally) -> None:
        self._producer = producer
        self._rejects = rejects
        self._tally = tally
        self.stopped = False

    def take(self, item: Ready | Refused) -> None:
        if isinstance(item, Refused):
            self._refuse(item)
            return
        self._tally.also += len(item.also)
        for value, decoded in ((item.value, item.decoded), *item.also):
            if self.stopped:
                why = "Kafka had stopped taking records"
                self._not_delivered(item.number, item.raw, NOT_SENT, why)
            else:
                self._send(item, value, decoded)

    def settle(self) -> None:
        for failure in self._producer.take_failures():
            number, raw = cast(tuple[int, bytes], failure.reference)
            self._not_delivered(number, raw, failure.reason, failure.error)

    def finish(self) -> None:
        try:
            self._producer.flush()
        except TouchlineError as error:
            self._stop(error)
        self.settle()
        self._tally.delivered = self._producer.delivered

    def _send(self, item: Ready, value: bytes, decoded: Decoded) -> None:
        try:
            # not the item itself: what is in flight should hold no parsed interactions
            self._producer.send_decoded(value, decoded, (item.number, item.raw))
        except RejectedRecord as cause:
            self._refuse(Refused(item.number, cause, [item.raw]))
        except TouchlineError as error:
            self._stop(error)
            self._not_delivered(item.number, item.raw, NOT_SENT, str(error))

    def _stop(self, error: TouchlineError) -> None:
        self.stopped = True
        if self._tally.error is None:
            self._tally.error = (
                f"{error} (fix: send the same input again when Kafka is back; what has arrived is "
                "recognised by its event_id and not counted twice)"
            )

    def _refuse(self, item: Refused) -> None:
        cause = item.cause
        self._tally.invalid[cause.reason] += 1
        self._write(item.number, item.line, item.raw, cause.reason, cause.field, cause.error)

    def _not_delivered(self, number: int, raw: bytes, reason: str, error: str) -> None:
        self._tally.undelivered[reason] += 1
        self._write(number, 0, [raw], reason, "", error)

    def _write(
        self, number: int, line: int, raw: Iterable[bytes], reason: str, where: str, error: str
    ) -> None:
        place = {self._tally.noun: number} | ({"line": line} if line else {})
        why = {"reason": reason, "field": where, "error": error}
        if len(self._tally.shown) < SHOWN:
            self._tally.shown.append({**place, **why})
        self._rejects.add(raw, **place, **why)
