from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.sending import Ready, Refused, Tally, send_all
from pipeline.decode import Decoded
from pipeline.errors import (
    FatalError,
    RejectedInput,
    RejectedRecord,
    RetryableError,
)
from pipeline.producers.delivery import Failure
from pipeline.producers.producer import checker
from pipeline.producers.reject_file import RejectFile
from tests.unit.events import event

CHANNELS = frozenset({"web", "store", "mail"})
CHECK = checker(CHANNELS, 4_096)


class FakeProducer:
    """Takes so many records, then refuses or stops."""

    def __init__(self, room: int, refused: frozenset[int] = frozenset()) -> None:
        self._room = room
        self._refused = refused
        self._failures: list[Failure] = []
        self.delivered = 0

    def send_decoded(self, value: bytes, decoded: Decoded, reference: Any) -> None:
        if self.delivered >= self._room:
            raise RetryableError("gone")
        if reference[0] in self._refused:
            self._failures.append(Failure(reference, value, "refused", "no"))
        else:
            self.delivered += 1

    def take_failures(self) -> list[Failure]:
        taken, self._failures = self._failures, []
        return taken

    def flush(self) -> None:
        if self.delivered >= self._room:
            raise RetryableError("gone")


def item(number: int, is_bad: bool = False) -> Ready | Refused:
    raw = f"entry {number}".encode()
    if is_bad:
        return Refused(number, RejectedRecord("bad", "is bad", "f"), [raw])
    value = orjson.dumps(event())
    return Ready(number, value, CHECK(value), raw)


def sent(path: Path | None, producer: FakeProducer, items: Any, **options: Any) -> Tally:
    tally = Tally("line")
    with RejectFile(path) as rejects:
        send_all(items, producer, rejects, tally, lambda: None, **options)  # type: ignore[arg-type]
    return tally


@given(
    st.lists(st.booleans(), max_size=30),
    st.integers(1, 40),
    st.frozensets(st.integers(1, 30)),
    st.booleans(),
)
def test_everything_read_is_accounted_for_and_kept(
    bad: list[bool], room: int, refused: frozenset[int], keep_rest: bool
) -> None:
    items = [item(number, is_bad) for number, is_bad in enumerate(bad, 1)]
    with TemporaryDirectory() as directory:
        path = Path(directory) / "rejects"
        tally = sent(path, FakeProducer(room, refused), items, keep_rest=keep_rest)
        kept = path.read_bytes().splitlines() if path.exists() else []
    undelivered = tally.undelivered.total() + tally.invalid.total()
    assert tally.read == tally.delivered + undelivered
    assert len(kept) == undelivered == len(set(kept))
    assert tally.delivered <= room
    assert tally.read == len(items) or (tally.error and not keep_rest)
    assert tally.code == (1 if undelivered or tally.error else 0)


def test_what_an_entry_tells_of_beside_is_sent_and_counted_with_it() -> None:
    value = orjson.dumps(event())
    beside = ((value, CHECK(value)), (value, CHECK(value)))
    items = [item(1), Ready(2, value, CHECK(value), b"entry 2", beside), item(3, is_bad=True)]
    tally = sent(None, FakeProducer(9), items)
    assert (tally.read, tally.also, tally.delivered, tally.invalid.total()) == (3, 2, 4, 1)
    assert (tally.code, tally.complete) == (1, True)

    tally = sent(None, FakeProducer(2), items[:2])  # Kafka is gone after two
    assert (tally.read, tally.also, tally.delivered) == (2, 2, 2)
    assert tally.undelivered == {"not_sent": 2}


def test_a_file_that_ends_in_the_middle_is_an_error() -> None:
    def items() -> Any:
        yield item(1)
        raise RejectedInput("cut")

    tally = sent(None, FakeProducer(9), items())
    assert (tally.delivered, tally.error, tally.code) == (1, "cut", 1)

    def nothing() -> Any:
        raise RejectedInput("is UTF-16")
        yield

    assert sent(None, FakeProducer(9), nothing()).code == 2


def test_a_sum_that_does_not_hold_is_fatal() -> None:
    class Forgetful(FakeProducer):
        def send_decoded(self, value: bytes, decoded: Decoded, reference: Any) -> None:
            pass

    with pytest.raises(FatalError, match="1 lines were read and 0 are accounted for"):
        sent(None, Forgetful(9), [item(1)])
