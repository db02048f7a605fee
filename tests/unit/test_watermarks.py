import pytest

from pipeline.watermarks import BEGINNING, SECOND, Watermarks

HOUR = 3_600 * SECOND


@pytest.fixture
def marks():
    found = Watermarks(lateness=300, idle=60)
    found.begin({0: BEGINNING, 1: 7 * HOUR}, clock=0.0)
    return found


def test_the_slowest_topic_that_is_behind_decides(marks):
    marks.heard("web", 0, 10 * HOUR, clock=1.0)
    marks.heard("phone", 0, 4 * HOUR, clock=1.0)
    assert marks.advance(0, ["phone", "web"]) == 4 * HOUR - 300 * SECOND
    assert marks.advance(0, ["web"]) == 10 * HOUR - 300 * SECOND


def test_a_topic_that_is_behind_and_unheard_holds_everything_back(marks):
    marks.heard("web", 0, 10 * HOUR, clock=1.0)
    assert marks.advance(0, ["phone"]) == BEGINNING
    assert marks[0] == BEGINNING


def test_when_all_is_read_the_latest_event_decides(marks):
    marks.heard("web", 0, 10 * HOUR, clock=1.0)
    marks.heard("phone", 0, 4 * HOUR, clock=1.0)
    assert marks.advance(0, []) == 10 * HOUR - 300 * SECOND


def test_it_never_goes_back_and_partitions_are_apart(marks):
    marks.heard("web", 1, 2 * HOUR, clock=1.0)
    assert marks.advance(1, []) == 7 * HOUR
    marks.heard("web", 1, 9 * HOUR, clock=1.0)
    marks.heard("web", 1, 3 * HOUR, clock=2.0)
    assert marks.advance(1, []) == 9 * HOUR - 300 * SECOND
    assert marks[0] == BEGINNING


def test_time_passes_where_nothing_came_for_long_and_something_ever_did(marks):
    marks.heard("web", 1, 8 * HOUR, clock=10.0)
    now = 100 * HOUR
    assert marks.idle(clock=69.0, now=now) == []
    assert marks.idle(clock=70.0, now=now) == [1]
    assert marks.pass_time(1, now) == now - 300 * SECOND
    assert marks.idle(clock=71.0, now=now) == []
