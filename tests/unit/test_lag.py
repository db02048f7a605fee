"""Lag in records and in time, from positions alone."""

from pipeline.lag import Lag

WEB, EMAIL = ("interactions.web", 0), ("interactions.email", 0)


def test_nothing_waits():
    lag = Lag()
    lag.look({WEB: 5, EMAIL: 0}, {WEB: 5}, {}, 10.0, 1000.0)
    assert lag.of_partitions == {WEB: 0, EMAIL: 0}
    assert (lag.records, lag.seconds, lag.still, lag.stillest) == (0, 0.0, 0.0, None)


def test_the_oldest_record_at_hand_tells_the_age():
    lag = Lag()
    lag.look({WEB: 5, EMAIL: 0}, {WEB: 8, EMAIL: 2}, {WEB: 940.0, EMAIL: 970.0}, 10.0, 1000.0)
    assert lag.of_partitions == {WEB: 3, EMAIL: 2}
    assert (lag.records, lag.seconds) == (5, 60.0)


def test_what_is_not_fetched_has_waited_since_it_was_seen_or_moved():
    lag = Lag()
    lag.look({WEB: 5}, {WEB: 8}, {}, 10.0, 1000.0)
    assert lag.seconds == 0.0
    lag.look({WEB: 5}, {WEB: 9}, {}, 40.0, 1030.0)
    assert (lag.seconds, lag.still, lag.stillest) == (30.0, 30.0, WEB)
    lag.look({WEB: 6}, {WEB: 9}, {}, 50.0, 1040.0)
    assert (lag.seconds, lag.still) == (0.0, 0.0)
    lag.look({WEB: 9}, {WEB: 9}, {}, 90.0, 1080.0)
    lag.look({WEB: 9}, {WEB: 10}, {}, 91.0, 1081.0)
    assert (lag.seconds, lag.still) == (0.0, 0.0)


def test_one_partition_that_stands_is_seen_beside_others_that_move():
    lag = Lag()
    for second in range(60):
        lag.look({WEB: second, EMAIL: 3}, {WEB: 100, EMAIL: 4}, {WEB: 1000.0}, second, 1000.0)
    assert (lag.stillest, lag.still) == (EMAIL, 59.0)


def test_partitions_that_are_gone_do_not_count():
    lag = Lag()
    lag.look({WEB: 5, EMAIL: 1}, {WEB: 8, EMAIL: 2}, {}, 0.0, 0.0)
    lag.look({WEB: 5}, {WEB: 8, EMAIL: 2}, {}, 5.0, 5.0)
    assert lag.of_partitions == {WEB: 3}
    lag.look({}, {WEB: 8}, {}, 6.0, 6.0)
    assert (lag.records, lag.seconds, lag.stillest) == (0, 0.0, None)


def test_a_clock_of_kafka_that_is_ahead_makes_no_negative_age():
    lag = Lag()
    lag.look({WEB: 5}, {WEB: 8}, {WEB: 2000.0}, 0.0, 1000.0)
    assert lag.seconds == 0.0
