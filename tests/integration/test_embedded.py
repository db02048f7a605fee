"""The embedded stack as a whole: its processes, its home directory, what a command gets from it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import Error
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from pydantic import SecretStr

from pipeline.embedded.stack import Stack, embedded, endpoints, running
from pipeline.errors import FatalError
from pipeline.settings import Settings
from tests.integration.embedded_client import children, connect, gone, number
from tests.waiting import until

pytestmark = pytest.mark.integration

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_one_record_through_the_broker(tmp_path: Path) -> None:
    with embedded(Settings(home=tmp_path), engine=False) as started:
        server = started.endpoints.kafka
        admin = KafkaAdminClient(bootstrap_servers=server)
        admin.create_topics([NewTopic("embedded.test", num_partitions=1, replication_factor=1)])
        admin.close()
        producer = KafkaProducer(bootstrap_servers=server, acks="all")
        producer.send("embedded.test", key=b"k", value="Grüße".encode()).get(timeout=30)
        producer.close()
        consumer = KafkaConsumer(
            "embedded.test",
            bootstrap_servers=server,
            auto_offset_reset="earliest",
            consumer_timeout_ms=30_000,
        )
        record = next(consumer)
        consumer.close()
        assert (record.key, record.value.decode()) == (b"k", "Grüße")


def test_second_stack_is_refused_and_names_the_first(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    assert running(settings.home) is None
    with embedded(settings, engine=False) as first:
        pid = first.endpoints.pid
        with pytest.raises(FatalError, match=rf"held by process {pid} \(fix: "):
            Stack.start(settings)
        assert first.alive
        assert running(settings.home) == first.endpoints


def test_data_pepper_and_modes_survive_a_restart(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with embedded(settings, broker=False) as first, connect(first.endpoints) as client:
        assert first.endpoints.kafka is None
        client.command("CREATE DATABASE d")
        client.command("CREATE TABLE d.t (a UInt64) ENGINE = MergeTree ORDER BY a")
        client.insert("d.t", [[1], [2]], column_names=["a"])
        for name, mode in (("", 0o700), ("run.json", 0o600), ("pepper", 0o600)):
            assert stat.S_IMODE((settings.home / name).stat().st_mode) == mode, name
    assert running(settings.home) is None
    assert not (settings.home / "run.json").exists()
    first.stop()
    with embedded(settings, broker=False) as second, connect(second.endpoints) as client:
        assert client.command("SELECT sum(a) FROM d.t") == 3
    assert second.endpoints.pepper == first.endpoints.pepper
    assert second.endpoints.clickhouse_password != first.endpoints.clickhouse_password


@linux
def test_killed_while_inserting_opens_again(tmp_path: Path) -> None:
    settings, batch, acknowledged = Settings(home=tmp_path), 5_000, 0
    enough = threading.Event()
    with embedded(settings) as first, connect(first.endpoints) as client:
        pid = first.endpoints.pid
        (broker,) = children(pid)
        client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")

        def kill_when_enough() -> None:
            enough.wait(60)
            os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_when_enough)
        killer.start()
        rows = [[i] for i in range(batch)]
        try:
            with pytest.raises(Error):
                while True:
                    client.insert("t", rows, column_names=["a"])
                    acknowledged += 1
                    if acknowledged == 20:
                        enough.set()
        finally:
            enough.set()
            killer.join()
        until(lambda: gone(pid) and gone(broker))
        assert not first.alive
        assert running(settings.home) is None
    with embedded(settings) as second, connect(second.endpoints) as client:
        stored = number(client.command("SELECT count() FROM t"))
        assert stored % batch == 0
        # A kill of the process loses nothing that was acknowledged; the insert in flight may be in.
        assert acknowledged <= stored // batch <= acknowledged + 1
        assert not any((tmp_path / "tmp").iterdir())


@linux
@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGTERM])
def test_everything_ends_with_the_parent(tmp_path: Path, killed_by: signal.Signals) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from pipeline.embedded.stack import Stack; from pipeline.settings import Settings\n"
        "stack = Stack.start(Settings(home=Path(sys.argv[1])))\n"
        "sys.stdout.write(f'{stack.endpoints.pid}\\n'); sys.stdout.flush(); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with parent:
        try:
            assert parent.stdout is not None
            supervisor = int(parent.stdout.readline())
            (broker,) = children(supervisor)
            assert running(tmp_path) is not None
        finally:
            parent.send_signal(killed_by)
    until(lambda: gone(supervisor) and gone(broker))
    assert running(tmp_path) is None


@linux
def test_stack_ends_when_its_broker_dies(tmp_path: Path) -> None:
    with embedded(Settings(home=tmp_path), engine=False) as started:
        assert started.endpoints.clickhouse is None
        (broker,) = children(started.endpoints.pid)
        os.kill(broker, signal.SIGKILL)
        until(lambda: not started.alive)
    assert "the broker ended" in (tmp_path / "stack.log").read_text()


def test_stop_cancels_a_query_that_does_not_end(tmp_path: Path) -> None:
    endless = "SELECT sum(sleepEachRow(0.01)) FROM numbers(1000000) SETTINGS max_block_size = 10"
    with (
        embedded(Settings(home=tmp_path), broker=False) as started,
        connect(started.endpoints) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        query = pool.submit(connect(started.endpoints).command, endless)
        busy = "SELECT count() FROM system.processes WHERE query LIKE '%EachRow%'"
        until(lambda: number(client.command(busy)) > 1)
        started.stop()
        with pytest.raises(Error):
            query.result(timeout=30)
    assert not started.alive
    assert "queries do not end" not in (tmp_path / "stack.log").read_text()


def test_home_that_the_engine_would_misread_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="as patterns"):
        Stack.start(Settings(home=tmp_path / "{a,b}"))


def test_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FatalError, match=f"cannot listen on {port}"):
            Stack.start(Settings(home=tmp_path), broker=False, clickhouse_port=port)
        with pytest.raises(FatalError, match=f"port {port} is already in use"):
            Stack.start(Settings(home=tmp_path), engine=False, kafka_port=port)


def test_configured_addresses_are_left_alone(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path / "none",
        kafka="k:9092",
        clickhouse="clickhouse://u@h:8123/d",
        pepper=SecretStr("p" * 16),
    )
    with endpoints(settings, kafka=True, clickhouse=True) as connections:
        assert connections.settings == settings
        assert not (connections.embedded_kafka or connections.embedded_clickhouse)
    assert not settings.home.exists()


def test_command_starts_only_what_it_needs(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, kafka="k:9092", database="shop")
    with endpoints(settings, kafka=True, clickhouse=True) as connections:
        found = running(tmp_path)
        assert found is not None
        assert found.kafka is None
        filled = connections.settings
        assert (filled.kafka, filled.clickhouse) == ("k:9092", f"{found.clickhouse}/shop")
        assert filled.clickhouse_password == found.clickhouse_password
        assert filled.pepper == found.pepper
        assert (connections.embedded_kafka, connections.embedded_clickhouse) == (False, True)
        assert (filled.embedded_kafka, filled.embedded_clickhouse) == (False, True)
    assert running(tmp_path) is None


def test_nothing_is_sent_through_a_stack_that_ends_with_another_command(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with embedded(settings):
        with endpoints(settings, kafka=False, clickhouse=True) as connections:
            assert connections.settings.clickhouse is not None
        with (
            pytest.raises(FatalError, match="belongs to another command"),
            endpoints(settings, kafka=True, clickhouse=False),
        ):
            pass


def test_command_uses_the_running_stack(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with Stack.start(settings, engine=False, lasting=True) as started:
        with endpoints(settings, kafka=True, clickhouse=False) as connections:
            assert connections.settings.kafka == started.endpoints.kafka
            assert connections.settings.embedded_kafka
        assert started.alive
        with (
            pytest.raises(FatalError, match="runs without its engine"),
            endpoints(settings, kafka=True, clickhouse=True),
        ):
            pass
