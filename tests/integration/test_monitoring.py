"""What a running worker tells monitoring, and whether it is true."""

import re

import psutil
import pytest

from pipeline.simulator import Plan
from tests.asking import ask, samples
from tests.line import running_line
from tests.waiting import until

pytestmark = pytest.mark.integration

SAID = re.compile(r"metrics and health at http://(\S+?)/metrics")
MOMENTS = "SELECT rule, kind, status, count() FROM moment_records FINAL GROUP BY ALL"
PROMISES = "SELECT promise, status, count() FROM promise_records FINAL GROUP BY ALL"
CUSTOMERS = "SELECT uniqExact(customer_key) FROM interaction_records"
CLOCKS = "SELECT countIf(clock = {clock:String}) FROM interaction_records"


@pytest.fixture
def line(tmp_path, request):
    own = request.node.get_closest_marker("own_broker") is not None
    with running_line(tmp_path / "home", own_broker=own, partitions=2) as running:
        yield running


def address_of(worker):
    """Return where a worker that took a free port answers."""

    def said():
        worker.check()
        return SAID.search(worker.log_file.read_text())

    return until(said, 60, "an address")[1]


def total(found, name):
    return sum(value for (of, _), value in found.items() if of == name)


def alarms(address):
    return [reason for (reason,) in by(samples(address), "touchline_alarm", "reason")]


def by(found, name, *labels):
    return {
        tuple(dict(has)[label] for label in labels): value
        for (of, has), value in found.items()
        if of == name and value
    }


def test_metrics_add_up_to_what_is_in_the_tables(line):
    line.produce(Plan(customers=60, days=20, seed=5))
    worker = line.worker(status_port=0)
    address = address_of(worker)
    line.drain(worker)
    customers = line.count(CUSTOMERS)
    refreshed = "touchline_journeys_refreshed_customers_total", frozenset()
    until(lambda: samples(address)[refreshed] >= customers, 30, "all refreshes counted")
    found = samples(address)

    told = line.account()
    assert total(found, "touchline_records_consumed_total") == len(line.values)
    assert total(found, "touchline_records_stored_total") == told.records
    assert total(found, "touchline_records_stored_before_total") == 0
    rejected = by(found, "touchline_records_rejected_total", "reason")
    assert rejected == {(reason,): count for reason, count in told.rejected.items()}
    assert told.rejected
    assert total(found, "touchline_records_unclassified_total") == told.unclassified
    for clock in ("late", "future"):
        counted = total(found, f"touchline_records_{clock}_total")
        assert counted == line.count(CLOCKS, clock=clock)
    moments = {tuple(row[:3]): row[3] for row in line.client.query(MOMENTS).result_rows}
    assert moments
    assert by(found, "touchline_moments_changed_total", "rule", "kind", "status") == moments
    promises = {tuple(row[:2]): row[2] for row in line.client.query(PROMISES).result_rows}
    assert by(found, "touchline_promises_changed_total", "promise", "status") == promises

    assert total(found, "touchline_partitions_assigned") == 2 * len(line.ids)
    lag = by(found, "touchline_lag_records", "topic", "partition")
    assert lag == {}
    assert len([name for name, _ in found if name == "touchline_lag_records"]) == 2 * len(line.ids)
    assert total(found, "touchline_lag_seconds") == 0
    assert total(found, "touchline_open_subjects") > 0
    assert total(found, "touchline_journeys_pending_customers") == 0
    flushes = total(found, "touchline_flush_seconds_count")
    assert flushes == total(found, "touchline_flush_records_count") > 0
    assert total(found, "touchline_flush_records_sum") == len(line.values)
    assert total(found, "touchline_alarm") == 0
    for up in ("ready", "clickhouse_up", "kafka_up"):
        assert total(found, f"touchline_{up}") == 1, up
    last = total(found, "touchline_last_flush_timestamp_seconds")
    assert 0 < last <= total(found, "touchline_last_commit_timestamp_seconds") + 60


def test_an_engine_that_does_not_answer_is_named_until_it_does_and_what_waits_alarms(line):
    worker = line.worker(status_port=0, alarm_lag_seconds=3.0, alarm_stuck_seconds=5.0)
    address = address_of(worker)
    until(lambda: ask(address, "/readyz").status == 200 or worker.check(), 60, "ready")
    line.produce(Plan(customers=20, days=5, seed=1))
    line.drain(worker)
    engine = psutil.Process(line.stack_pid)
    engine.suspend()
    try:
        answer = until(
            lambda: (got := ask(address, "/readyz")).status == 503 and got, 30, "not ready"
        )
        told = answer.json()
        assert not told["ready"]
        assert list(told["problems"]) == ["clickhouse"]
        assert "ClickHouse" in told["problems"]["clickhouse"]
        assert ask(address, "/healthz").status == 200  # starting it anew would help nobody
        assert samples(address)["touchline_clickhouse_up", frozenset()] == 0

        stored = len(line.values)
        line.produce(Plan(customers=40, days=10, seed=2))
        wanted = {"lag", "stuck", "clickhouse"}
        until(lambda: set(ask(address, "/readyz").json()["problems"]) == wanted, 60, "all of it")
        assert set(alarms(address)) >= {"lag", "stuck"}
        found = samples(address)
        assert 0 < total(found, "touchline_lag_records") <= len(line.values) - stored
        assert total(found, "touchline_lag_seconds") > 3
    finally:
        engine.resume()
    until(lambda: ask(address, "/readyz").status == 200 or worker.check(), 60, "ready again")
    line.drain(worker)
    until(lambda: not alarms(address), 60, "no alarms")
    log = worker.log_file.read_text()
    for reason in ("lag", "stuck"):
        said = rf"ERROR pipeline.alarms: alarm: {reason}: [\d,]+ records wait"
        assert len(re.findall(said, log)) == 1
        assert re.search(rf"alarm over after \d+ s: {reason}\n", log)
    found = samples(address)
    assert total(found, "touchline_records_consumed_total") == len(line.values)
    assert total(found, "touchline_lag_records") == 0
    assert found["touchline_clickhouse_up", frozenset()] == 1
    assert line.account().balanced


def test_a_worker_to_spare_is_ready(line):
    workers = [line.worker(status_port=0, session_timeout=6.0) for _ in range(3)]
    log_file = workers[0].log_file  # they share it

    def said():
        found = SAID.findall(log_file.read_text())
        return len(found) == len(workers) and found

    addresses = until(said, 90, "three addresses")
    for address in addresses:
        until(lambda address=address: ask(address, "/readyz").status == 200, 90, "ready")

    def assigned():
        return sorted(total(samples(at), "touchline_partitions_assigned") for at in addresses)

    until(lambda: assigned() == [0, len(line.ids), len(line.ids)], 60, "one to spare")


@pytest.mark.own_broker
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_broker_that_does_not_answer_is_one_alarm_and_no_reason_to_start_anew(line):
    worker = line.worker(status_port=0)
    address = address_of(worker)
    until(lambda: ask(address, "/readyz").status == 200 or worker.check(), 60, "ready")
    line.produce(Plan(customers=20, days=5, seed=1))
    line.drain(worker)
    line.broker.suspend()
    try:
        until(lambda: alarms(address) == ["kafka"], 90, "an alarm")
        told = ask(address, "/readyz")
        assert told.status == 503
        assert list(told.json()["problems"]) == ["kafka"]
        until(lambda: samples(address)["touchline_kafka_up", frozenset()] == 0, 60, "down")
        assert ask(address, "/healthz").status == 200
    finally:
        line.broker.resume()
    until(lambda: ask(address, "/readyz").status == 200 or worker.check(), 90, "ready again")
    until(lambda: not alarms(address), 60, "no alarm")
    assert worker.log_file.read_text().count("ERROR pipeline.alarms: alarm: kafka: ") == 1
    line.produce(Plan(customers=20, days=5, seed=2))
    line.drain(worker)
    assert total(samples(address), "touchline_records_consumed_total") == len(line.values)
