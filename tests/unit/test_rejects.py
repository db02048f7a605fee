from datetime import datetime, timezone
from uuid import UUID

import pytest

from pipeline.errors import FatalError, RejectedRecord
from pipeline.rejects import HEADERS, Reject, RejectLimit

CAUSE = RejectedRecord("invalid_field", "Input should be a valid string", "event_id")


def counted(limit, pattern):
    """Return how many records were borne before the limit stopped."""
    for number, sign in enumerate(pattern):
        try:
            limit.count(sign == "x", CAUSE)
        except FatalError as error:
            assert "event_id" in str(error)
            assert "TOUCHLINE_REJECT_RATIO_LIMIT" in str(error)
            return number
    return None


@pytest.mark.parametrize(
    ("pattern", "stops_at"),
    [
        ("." * 50, None),
        ("x." * 50, None),  # exactly half is borne
        ("." * 10 + "x" * 20, 15),  # the sixth of the last ten
        ("xx." * 20, 9),  # only a full window is judged by its share
        ("x" * 9, None),
        ("x" * 20, 9),  # ten in a row
    ],
)
def test_a_window_of_ten_bears_half(pattern, stops_at):
    assert counted(RejectLimit(0.5, 10), pattern) == stops_at


def test_a_limit_of_one_never_stops():
    assert counted(RejectLimit(1.0, 10), "x" * 100) is None


def test_a_reject_keeps_the_record_and_says_where_it_came_from():
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    topic_id = UUID(int=7)
    own = (("trace", b"1"), ("touchline-reason", b"old"))
    reject = Reject("t", topic_id, 3, 42, at, b"k", b"\xff", own, CAUSE)
    headers = reject.message_headers()
    assert headers[0] == ("trace", b"1")
    assert [name for name, _ in headers[1:]] == list(HEADERS)
    assert dict(headers)["touchline-reason"] == b"invalid_field"
    assert dict(headers)["touchline-offset"] == b"42"
    assert dict(headers)["touchline-topic-id"] == str(topic_id).encode()
