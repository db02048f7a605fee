"""An alarm is said once, again every hour, and when it is over."""

import logging

import pytest

from pipeline.alarms import AGAIN_SECONDS, QUIET_SECONDS, Alarms
from pipeline.metrics import Metrics


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "pipeline.alarms")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


def value(metrics, reason):
    return metrics.registry.get_sample_value("touchline_alarm", {"reason": reason})


def test_it_is_said_once_then_hourly_then_that_it_is_over(said):
    metrics = Metrics("worker", "v1", ["lag"])
    alarms = Alarms(metrics)
    assert value(metrics, "lag") == 0
    for second in range(int(AGAIN_SECONDS) + 5):
        alarms.update({"lag": f"{second} wait"}, 100.0 + second)
    assert "lag" in alarms
    assert value(metrics, "lag") == 1
    assert said() == [
        ("ERROR", "alarm: lag: 0 wait"),
        ("ERROR", "alarm for 3600 s: lag: 3600 wait"),
    ]
    alarms.update({}, 100.0 + AGAIN_SECONDS + 5)
    assert value(metrics, "lag") == 1
    alarms.update({}, 104.0 + AGAIN_SECONDS + QUIET_SECONDS)
    assert value(metrics, "lag") == 0
    assert "lag" not in alarms
    assert said()[2:] == [("WARNING", "alarm over after 3604 s: lag")]


def test_what_comes_and_goes_is_one_alarm(said):
    alarms = Alarms(Metrics("worker", "v1", ["lag"]))
    for second in range(200):
        alarms.update({"lag": "late"} if second % int(QUIET_SECONDS - 1) == 0 else {}, second)
    assert said() == [("ERROR", "alarm: lag: late")]


def test_alarms_do_not_hide_each_other(said):
    alarms = Alarms(Metrics("worker", "v1", ["lag", "stuck"]))
    alarms.update({"lag": "a"}, 0.0)
    alarms.update({"lag": "a", "stuck": "b"}, 1.0)
    alarms.update({"stuck": "b"}, 30.0)
    assert said() == [
        ("ERROR", "alarm: lag: a"),
        ("ERROR", "alarm: stuck: b"),
        ("WARNING", "alarm over after 1 s: lag"),
    ]
