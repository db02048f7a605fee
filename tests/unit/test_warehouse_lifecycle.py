"""Terms: refused where detection needs more, and the SQL of a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.migrate import migrate
from pipeline import catalog
from pipeline.errors import SettingsError
from pipeline.moments.rules import Rules
from pipeline.settings import Settings
from pipeline.warehouse.ddl import render, shipped
from pipeline.warehouse.lifecycle import KEPT, check_terms, lifecycle_statements
from tests.unit.test_warehouse_ddl import PARSE

DAY = 86_400_000_000


def test_a_term_shorter_than_detection_looks_back_is_refused() -> None:
    rules = Rules(catalog.load())
    back = -(-rules.reach // DAY)
    check_terms(Settings(), rules)
    check_terms(Settings(keep_interactions_days=back + 2, keep_moments_days=back + 2), rules)
    with pytest.raises(SettingsError) as refused:
        check_terms(Settings(keep_interactions_days=back, keep_moments_days=back), rules)
    said = str(refused.value).splitlines()
    assert said[0] == (
        f"TOUCHLINE_KEEP_INTERACTIONS_DAYS: {back} days are less than the rules of catalog "
        f"{rules.version} look back (fix: {back + 2} or more, or rules that look back less)"
    )
    assert said[1].startswith("TOUCHLINE_KEEP_MOMENTS_DAYS: ")
    check_terms(Settings(keep_rejections_days=1), rules)


def test_migrate_refuses_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOUCHLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TOUCHLINE_KEEP_INTERACTIONS_DAYS", "7")
    with pytest.raises(SettingsError, match="7 days are less than the rules"):
        migrate(dry_run=True)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("cluster", [None, "main"])
def test_every_statement_is_valid_sql(cluster: str | None) -> None:
    terms = {kept.setting: 400 for kept in KEPT}
    made = lifecycle_statements(None, Settings(database="shop", cluster=cluster, **terms))
    assert list(made) == [
        f"{kept.table}_local" if cluster and kept.sharded else kept.table for kept in KEPT
    ]
    statements = [sql for of_table in made.values() for sql in of_table]
    assert all("${" not in sql for sql in statements)
    assert all(("ON CLUSTER 'main'" in sql) is (cluster is not None) for sql in statements)
    ran = subprocess.run(
        [sys.executable, "-c", PARSE],
        input=json.dumps(statements),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout) == []


def test_terms_are_of_tables_that_are_there() -> None:
    statements = [one.sql for item in shipped() for one in render(item, "shop", None)]
    for kept in KEPT:
        begin = f"CREATE TABLE IF NOT EXISTS `shop`.{kept.table} "
        (create,) = (sql for sql in statements if sql.startswith(begin))
        assert f"\n    {kept.column} DateTime64(" in create
        assert (f"PARTITION BY toYYYYMM({kept.column})" in create) is kept.by_month
        assert kept.setting in Settings.model_fields
