"""The roles on ClickHouse's own access control: each is enough for its work, and for no more."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from jobs.drain import wait_until_stored, working
from pipeline import catalog, topics
from pipeline.embedded.stack import endpoints
from pipeline.errors import FatalError
from pipeline.export.source import Selection, batches, spans
from pipeline.producers import Producer
from pipeline.settings import Settings
from pipeline.settings import environment as as_environment
from pipeline.simulator import Plan, simulate
from pipeline.warehouse.accounting import account
from pipeline.warehouse.client import ACCESS_CODES, connect, explained
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import run
from pipeline.warehouse.query_files import named_queries
from pipeline.warehouse.roles import apply_roles
from tests.integration.command import environment
from tests.integration.restricted import restricted
from tests.kafka import choice

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.kafka]

KEY = "0" * 32
PLAN = Plan(customers=25, days=20, seed=5)


@dataclass
class Server:
    """A data directory that one role after the other is served from."""

    data: Path
    temp: Path
    settings: Settings

    def as_role(self, role: str, **limits: int):
        chosen = self.settings.model_copy(update=limits)
        return restricted(self.data, self.temp, chosen, role)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose tables an owner made and a worker that is no more than a writer filled."""
    path = tmp_path_factory.mktemp("server")
    wanted = Settings(home=path / "home", partitions=2, pepper="p" * 32, **choice.reach(path))
    with endpoints(wanted, kafka=True, clickhouse=False) as connected:
        made = Server(path / "data", path, connected.settings)
        with made.as_role("owner") as owner:
            assert migrate(connect(owner), owner)
        with made.as_role("writer") as writer:
            _work(writer)
        yield made


def _work(writer: Settings) -> None:
    """Let a real worker store and detect a simulation."""
    loaded = catalog.load()
    ids = topics.ensure(writer, loaded.catalog)
    for _ in range(2):  # the second takes up what the first one found
        with Producer(writer, loaded.channels) as producer:
            for produced in simulate(PLAN):
                producer.send_unchecked(produced.truth.channel, produced.value)
        with working(writer) as worker:
            wait_until_stored(writer, topics.ends(writer, sorted(ids)), lambda left: None, worker)
    found = account(connect(writer), ids, {}, topics.ends(writer, sorted(ids)))
    assert found.balanced
    assert found.rejected
    assert found.stored > 200


def refused(client: Client, sql: str) -> bool:
    """Whether a statement is refused for want of a grant, or because nothing may be changed."""
    try:
        client.command(sql)
    except ClickHouseError as error:
        assert getattr(error, "code", None) in ACCESS_CODES, error
        return True
    return False


def test_an_owner_rules_the_database_and_no_other(server: Server) -> None:
    with server.as_role("owner") as settings:
        client = connect(settings)
        assert migrate(client, settings) == []
        client.command("CREATE TABLE more (a Int8) ENGINE = MergeTree ORDER BY a")
        client.command("DROP TABLE more SYNC")
        assert refused(client, "CREATE DATABASE another")
        assert refused(client, "SELECT * FROM file('/etc/hostname', LineAsString)")
        assert refused(client, "CREATE ROLE mine")


def test_an_owner_of_a_cluster_may_distribute(server: Server) -> None:
    with server.as_role("owner", cluster="main") as settings:
        client = connect(settings)
        client.command(
            "CREATE TABLE everywhere AS rejections "
            "ENGINE = Distributed('main', currentDatabase(), rejections)"
        )
        client.command("DROP TABLE everywhere SYNC")


def test_a_writer_only_adds(server: Server) -> None:
    with server.as_role("writer") as settings:
        client = connect(settings)
        for sql in (
            "DROP TABLE rejections",
            "TRUNCATE TABLE rejections",
            "ALTER TABLE rejections DELETE WHERE 1",
            "DELETE FROM interaction_records WHERE 1",
            "ALTER TABLE rejections ADD COLUMN more Int8",
            "OPTIMIZE TABLE rejections FINAL",
            "INSERT INTO schema_migrations (number) VALUES (99)",
            "DELETE FROM alert_records WHERE 1",
            "SELECT customer_key FROM journeys",
            "CREATE TABLE more (a Int8) ENGINE = MergeTree ORDER BY a",
        ):
            assert refused(client, sql), sql


def test_a_reader_may_ask_every_named_query(server: Server) -> None:
    with server.as_role("reader") as settings:
        client = connect(settings)
        answers = {}
        for name, query in named_queries().items():
            needed = {parameter.name for parameter in query.parameters if not parameter.default}
            given = {"customer": KEY, "at": "product_page"}
            asked = {key: value for key, value in given.items() if key in needed}
            answers[name] = run(client, name, asked).rows
        assert answers["touchpoint_map"]
        assert answers["moments_by_rule"]
        views = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
        visible = {row[0] for row in client.query(views).result_rows}
        assert {"journeys", "interactions", "trust_balance"} <= visible
        for view in ("alerts", "alert_moments", "alert_deliveries", "alert_orders"):
            client.query("SELECT * FROM {v:Identifier}", parameters={"v": view})
        assert "detection_progress" not in visible


def test_a_reader_asks_by_the_command_line(server: Server) -> None:
    with server.as_role("reader") as settings:
        ran = subprocess.run(
            [sys.executable, "-m", "jobs.cli", "query", "touchpoint_map", "--json"],
            cwd=server.temp, env={**environment(), **as_environment(settings)},
            capture_output=True, timeout=110,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)


def test_a_reader_may_export(server: Server) -> None:
    with server.as_role("reader") as settings:
        client = connect(settings)
        assert spans(client, Selection())[0] > 200
        rows = sum(block.num_rows for block in batches(client, Selection()))
    assert rows > 200


def test_a_reader_sees_no_free_text_and_changes_nothing(server: Server) -> None:
    with server.as_role("reader") as settings:
        client = connect(settings)
        assert client.query("SELECT touchpoint, stage, case_ids FROM interactions").result_rows
        for sql in (
            "SELECT details FROM interactions",
            "SELECT extra FROM interactions",
            "SELECT * FROM interactions",
            "SELECT details FROM interaction_records",
            "SELECT watermark FROM detection_progress",
            "INSERT INTO rejections (reason) VALUES ('x')",
            "DROP VIEW journeys",
            "SELECT 1 SETTINGS max_execution_time = 0",
            "SET readonly = 0",
            "CREATE TEMPORARY TABLE mine (a Int8)",
            "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
        ):
            assert refused(client, sql), sql


def test_a_reader_is_limited(server: Server) -> None:
    with server.as_role("reader", reader_result_rows=10_000) as settings:
        client = connect(settings)
        assert run(client, "transitions").rows
        with (
            pytest.raises(FatalError, match="beyond the limits of the ClickHouse user"),
            explained(),
        ):
            client.query("SELECT number FROM numbers(10001)")
    with server.as_role("reader", reader_queries_per_hour=6) as settings:
        client = connect(settings)  # asks the server a few things, too
        with pytest.raises(FatalError, match="beyond the limits of the ClickHouse user"):
            for _ in range(7):
                run(client, "promise_keeping")


def test_who_may_not_manage_access_is_told(server: Server) -> None:
    with server.as_role("owner") as settings:
        said: list[str] = []
        with pytest.raises(FatalError, match=r"roles/owner.sql: .* may not manage access \(fix"):
            apply_roles(connect(settings), settings, lambda name, sql: said.append(name))
        assert said == ["owner.sql"]
