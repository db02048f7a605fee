import hashlib
from datetime import datetime, timezone
from uuid import UUID

import pytest

from pipeline.errors import FatalError, RejectedRecord
from pipeline.rejects import HEADERS, SHORTENED_VALUE, Reject, RejectLimit

CAUSE = RejectedRecord("invalid_field", "Input should be a valid string", "event_id")


def stops(limit, batches):
    """Return after how many batches the limit stops; None where it never does."""
    for number, (records, rejected) in enumerate(batches, 1):
        try:
            limit.count(records, rejected, CAUSE)
        except FatalError as error:
            assert "event_id" in str(error)
            assert "TOUCHLINE_REJECT_RATIO_LIMIT" in str(error)
            return number
    return None


@pytest.mark.parametrize(
    ("batches", "after"),
    [
        ([(100, 0)] * 50, None),
        ([(10, 5)] * 50, None),  # exactly half is borne
        ([(10, 6)], 1),
        ([(4, 4)], None),  # too few to judge
        ([(4, 4)] * 2, None),
        ([(4, 4)] * 3, 3),
        ([(1, 1)] * 20, 10),
        ([(100, 0), (10, 6)], 2),  # a long good past does not excuse a bad present
        ([(100, 0), (5, 5)], None),
        ([(10, 4), (0, 3)], 2),  # found to be unstorable afterwards
    ],
)
def test_a_window_of_ten_bears_half(batches, after):
    assert stops(RejectLimit(0.5, 10), batches) == after


def test_a_limit_of_one_never_stops():
    assert stops(RejectLimit(1.0, 10), [(10, 10)] * 20) is None


def test_a_reject_keeps_the_record_and_says_where_it_came_from():
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    topic_id = UUID(int=7)
    own = (("trace", b"1"), ("touchline-reason", b"old"))
    reject = Reject("t", topic_id, 3, 42, at, b"k", b"\xff", own, CAUSE)
    key, value, headers = reject.message()
    assert (key, value) == (b"k", b"\xff")
    assert headers[0] == ("trace", b"1")
    assert [name for name, _ in headers[1:]] == list(HEADERS)
    assert dict(headers)["touchline-reason"] == b"invalid_field"
    assert dict(headers)["touchline-offset"] == b"42"
    assert dict(headers)["touchline-topic-id"] == str(topic_id).encode()


def test_a_record_of_nothing_can_still_be_sent():
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert Reject("t", UUID(int=7), 0, 1, at, None, None, (), CAUSE).message()[:2] == (None, b"")
    assert Reject("t", UUID(int=7), 0, 1, at, b"k", None, (), CAUSE).message()[:2] == (b"k", None)


def test_a_record_too_large_keeps_its_beginning_length_and_digest():
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    value = b"x" * (SHORTENED_VALUE + 5)
    reject = Reject("t", UUID(int=7), 0, 1, at, b"k", value, (("big", b"y" * 9999),), CAUSE)
    key, kept, headers = reject.shortened()
    assert (key, kept) == (b"k", value[:SHORTENED_VALUE])
    assert dict(headers)["touchline-bytes"] == str(len(value)).encode()
    assert dict(headers)["touchline-sha256"] == hashlib.sha256(value).hexdigest().encode()
    assert "big" not in dict(headers)
