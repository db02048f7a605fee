"""What docs/operating.md says of a lost ClickHouse is so: with an old backup, and with none."""

import pytest

from pipeline.simulator import Plan
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.migrate import migrate
from tests.line import running_line
from tests.moments_line import check_moments

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(400)]

MOMENTS = "SELECT moment_id, rule, kind, status, occurred_at, closed_at FROM moments ORDER BY ALL"
TABLES = """
SELECT name FROM system.tables WHERE database = 'touchline' AND engine LIKE '%MergeTree'
    AND name != 'schema_migrations'
"""
COPY = "INSERT INTO {to}.{name} SELECT * FROM {of}.{name}"


def everything(line):
    return line.account(), line.client.query(MOMENTS).result_rows, line.derived()


def lose_clickhouse(line):
    """Drop the database, and make its tables as `touchline migrate` does."""
    line.client.command("DROP DATABASE touchline SYNC")
    migrate(line.client, line.settings)
    publish(line.client, line.loaded.catalog, line.loaded.version)


def read_again(line):
    """Start a worker in a group of its own, which reads all that Kafka has."""
    line.settings = line.settings.model_copy(
        update={"kafka_group": f"{line.settings.kafka_group}-again"}
    )
    worker = line.worker()
    line.drain(worker)
    check_moments(line)
    worker.stop()


def test_what_was_lost_after_a_backup_and_all_of_it_come_back_from_kafka(tmp_path):
    with running_line(tmp_path / "home", partitions=2, idle=1.0) as line:
        line.produce(Plan(customers=40, days=20, seed=5))
        worker = line.worker()
        line.drain(worker)
        names = [row[0] for row in line.client.query(TABLES).result_rows]
        line.client.command("CREATE DATABASE kept")
        for name in names:  # the worker runs meanwhile, as it does during a backup
            line.client.command(f"CREATE TABLE kept.{name} AS touchline.{name}")
            line.client.command(COPY.format(to="kept", of="touchline", name=name))
        line.produce(Plan(customers=40, days=20, seed=6))
        line.drain(worker)
        check_moments(line)
        worker.stop()
        before = everything(line)
        assert before[0].balanced
        assert before[1]

        lose_clickhouse(line)
        for name in names:
            line.client.command(COPY.format(to="touchline", of="kept", name=name))
        read_again(line)
        assert everything(line) == before

        lose_clickhouse(line)
        read_again(line)
        assert everything(line) == before
