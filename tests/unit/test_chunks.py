"""What a chunk holds is what aiokafka itself would have returned."""

from types import SimpleNamespace

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from pipeline.chunks import _chunk, _drained
from pipeline.errors import FatalError

PLACE = TopicPartition("t", 0)
PLACES = frozenset([TP(*PLACE)])
PRODUCER = 7
ABORT, COMMIT = b"\x00\x00\x00\x00", b"\x00\x00\x00\x01"
# Where things stand in a batch: https://kafka.apache.org/documentation/#recordbatch
_CRC, _ATTRIBUTES, _LAST = slice(17, 21), 22, slice(23, 27)
_CONTROL = 0x20

texts = st.none() | st.binary(max_size=4)
records = st.lists(
    st.tuples(
        st.integers(0, 3),  # offsets that compaction removed before it
        st.integers(0, 2**40),
        texts,
        texts,
        st.lists(st.tuples(st.text(max_size=2), texts), max_size=2),
    ),
    min_size=1,
    max_size=5,
)


def batch(begin, items, transactional=False, control=False):
    """Return a batch as a broker stores it, and the offset after it."""
    made = DefaultRecordBatchBuilder(
        2, 0, transactional, PRODUCER if transactional else -1, 0, 0, 1 << 16
    )
    at = -1
    for gap, timestamp, key, value, headers in items:
        at += gap + 1
        assert made.append(at, timestamp, key, value, headers) is not None
    data = bytearray(made.build())
    data[:8] = begin.to_bytes(8, "big")
    data[_LAST] = at.to_bytes(4, "big")
    data[_ATTRIBUTES] |= _CONTROL if control else 0
    return bytes(sealed(data)), begin + at + 1


def sealed(data):
    data[_CRC] = calc_crc32c(bytes(data[_CRC.stop :])).to_bytes(4, "big")
    return data


def fetcher_of(data, aborted=(), position=0):
    """Return a fetcher that has just fetched something, and the state of its partition."""
    state = SimpleNamespace(paused=False, position=position)
    state.consumed_to = lambda offset: setattr(state, "position", offset)
    assignment = SimpleNamespace(active=True, state_value=lambda _: state)
    found = PartitionRecords(
        PLACE, MemoryRecords(data), list(aborted), position, None, None, True, READ_COMMITTED
    )
    fetcher = object.__new__(Fetcher)
    fetcher._records = {
        PLACE: FetchResult(PLACE, assignment=assignment, partition_records=found, backoff=0)
    }
    fetcher._subscriptions = SimpleNamespace(
        reassignment_in_progress=False, is_assigned=lambda _: True
    )
    fetcher._wait_consume_future = None
    return fetcher, state


def drained(fetcher, ours, limit=2):
    """Return the records and the positions of one look after the other."""

    looks = []
    while fetcher._records:
        if ours:
            looks.append(at_once(_drained(fetcher, PLACES, limit, {TP(*PLACE): 4})))
        else:
            looks.append(at_once(fetcher.fetched_records(PLACES, 0, limit)))
    return [fields(look.get(PLACE, [])) for look in looks]


def at_once(coroutine):
    """Return what a coroutine returns that never waits."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return ended.value.value


def fields(found):
    return [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in found]


@given(
    st.lists(
        st.tuples(records, st.sampled_from(["plain", "kept", "aborted"])), min_size=1, max_size=4
    ),
    st.integers(0, 6),
    st.integers(1, 4),
)
def test_records_and_positions_are_aiokafkas_own(batches, position, limit):
    data, aborted, at = b"", [], 0
    for items, kind in batches:
        if kind == "aborted":
            aborted.append((PRODUCER, at))
        made, at = batch(at, items, transactional=kind != "plain")
        data += made
        if kind != "plain":
            marker = [(0, 0, ABORT if kind == "aborted" else COMMIT, b"", [])]
            made, at = batch(at, marker, transactional=True, control=True)
            data += made
    position = min(position, at)
    seen, ends = [], []
    for ours in (True, False):
        fetcher, state = fetcher_of(data, aborted, position)
        seen.append(drained(fetcher, ours, limit))
        ends.append(state.position)
    assert seen[0] == seen[1]
    assert ends == [at, at]


def test_records_of_before_kafka_0_11_are_read_too():
    made = LegacyRecordBatchBuilder(1, 0, 1 << 16)
    for offset in range(3):
        made.append(offset, 5 + offset, b"k", b"v")
    data = bytes(made.build())
    fetcher, _ = fetcher_of(data)
    assert drained(fetcher, ours=True, limit=9) == [
        [(offset, 5 + offset, b"k", b"v", ()) for offset in range(3)]
    ]


def test_the_size_of_a_chunk_is_that_of_its_values():
    data, end = batch(0, [(0, 1, b"key", b"four", []), (0, 1, None, None, [])])
    fetcher, _ = fetcher_of(data)
    found = at_once(_drained(fetcher, PLACES, None, {}))
    assert _chunk(TP(*PLACE), 0, end, found[PLACE]).size == 4


def test_a_corrupt_batch_is_an_error_and_the_position_stays():
    data, end = batch(0, [(0, 1, b"k", b"v", [])])
    broken = bytearray(batch(end, [(0, 1, b"k", b"v", [])])[0])
    broken[-2] ^= 1
    fetcher, state = fetcher_of(data + broken)
    with pytest.raises(CorruptRecordException):
        drained(fetcher, ours=True, limit=9)
    assert state.position == 0


def test_a_header_whose_name_is_not_text_is_fatal_and_says_where():
    data = bytearray(batch(4, [(0, 1, b"k", b"v", [("name", b"x")])])[0])
    where = data.index(b"name")
    data[where] = 0xFF
    fetcher, _ = fetcher_of(bytes(sealed(data)), position=4)
    with pytest.raises(FatalError, match=r"t\[0\] 4"):
        drained(fetcher, ours=True)
