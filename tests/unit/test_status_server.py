"""The server that monitoring asks, over real sockets."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import SettingsError
from pipeline.metrics import CONTENT_TYPE, WorkerMetrics
from pipeline.settings import Settings
from pipeline.status_server import Status, StatusServer, listening
from tests.asking import ask, samples

ROOT = Path(__file__).parents[2]
METRICS = WorkerMetrics("v1", ["lag"], ["invalid_json"])


def served(check: Callable[[], Status], questions: Callable[[str], Any]) -> Any:
    """Ask a running server something, from another thread, as a probe would."""
    settings = Settings(status_port=0)
    taken = listening(settings)
    assert taken is not None

    async def main() -> Any:
        server = StatusServer(settings, taken, METRICS.exposition, Status, check)
        await server.start()
        try:
            answer: Awaitable[Any] = asyncio.to_thread(questions, server.address)
            return await answer
        finally:
            await server.stop()

    return asyncio.run(main())


def test_metrics_are_what_prometheus_reads():
    def questions(address):
        return ask(address, "/metrics").content_type, samples(address)

    content_type, found = served(Status, questions)
    assert content_type == CONTENT_TYPE
    (build,) = (dict(labels) for name, labels in found if name == "touchline_build_info")
    assert build["service"] == "worker"
    assert build["catalog_version"] == "v1"
    assert found["touchline_alarm", frozenset({("reason", "lag")})] == 0.0
    assert found["touchline_records_rejected_total", frozenset({("reason", "invalid_json")})] == 0.0


def test_problems_are_told_with_503_and_facts_with_both():
    problems: dict[str, str] = {}

    def questions(address):
        found = []
        for problem in ({}, {"clickhouse": "no ClickHouse answers"}):
            problems.update(problem)
            answer = ask(address, "/readyz")
            found.append((answer.status, answer.json()))
            assert ask(address, "/healthz").json() == {"alive": True, "problems": {}}
        return found

    assert served(lambda: Status(problems, {"lag_records": 7}), questions) == [
        (200, {"ready": True, "problems": {}, "lag_records": 7}),
        (
            503,
            {
                "ready": False,
                "problems": {"clickhouse": "no ClickHouse answers"},
                "lag_records": 7,
            },
        ),
    ]


def test_without_a_port_there_is_none():
    assert listening(Settings()) is None


def test_a_port_that_is_taken_is_said_with_the_fix():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}.*another port") as caught:
            listening(Settings(status_port=port))
        assert "TOUCHLINE_STATUS_PORT" in str(caught.value)


def test_a_host_that_does_not_exist_is_said():
    with pytest.raises(SettingsError, match="no-such-host.invalid"):
        listening(Settings(status_host="no-such-host.invalid", status_port=0))


def test_ipv6_is_spoken_where_there_is_some():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    taken = listening(Settings(status_host="::1", status_port=0))
    assert taken is not None
    with taken:
        assert taken.family == socket.AF_INET6


@pytest.mark.parametrize(("problems", "code"), [({}, 0), ({"lag": "far behind"}, 1)])
def test_the_check_of_the_containers_tells_them_apart(problems, code):
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    worker = compose["services"]["worker"]
    port = str(worker["environment"]["TOUCHLINE_STATUS_PORT"])
    kind, _, *arguments = worker["healthcheck"]["test"]
    assert kind == "CMD"
    assert f", {port}, " in arguments[-1]

    def questions(address):
        here = [text.replace(port, address.split(":")[1]) for text in arguments]
        return subprocess.run([sys.executable, *here], capture_output=True, text=True, check=False)

    done = served(lambda: Status(problems), questions)
    assert done.returncode == code
    assert json.loads(done.stdout) == {"ready": not problems, "problems": problems}
