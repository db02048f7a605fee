"""Migration files: locked once shipped, rendered for a server and for a cluster, valid SQL."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from pipeline.errors import SettingsError
from pipeline.warehouse.ddl import Migration, render, shipped

#: SHA-256 of every shipped file. One that shipped is never edited: a change is a new file.
SHIPPED = {
    1: "a2d281e6c3a6720b0cf0d76028a432055ea249f63b1acdf8ce54a1c474388a61",
    2: "6c3f0e9d63bf8c7bf18edf49cc14da06426e4cbfab7c33df04e2694da57c1a42",
    3: "e6fe50ee87ccd0234a7bbcdcddf98b10b1ad349a230553c3605786a33d176005",
    4: "42df7175cc8d8959a7bb8c5542a0e5fa82932b05f43d1de7fd917e95f5c2388f",
    5: "ec483905d748016f74c4f983d261a7c587761bccf5e5a279ff48ab788e900d37",
    6: "f4fbbfcd7504f5af04a11c0082d6bc2300afb1342f69646ee2684fd3cb0dc08d",
    7: "9adddf2b821abba80a1ca010d3d35d6505c82fd80e89341584c202c432c5775c",
    8: "ea934ddd0fcbf1a63b12afcc55295a8053f31e07c83d7adc84902ecac9f4bed4",
    9: "df7a26a619cd9fd1c46ffe523bd68714c2a61b26753fcf5ebde5910525b1d35f",
    10: "f3782307534130977c44e5317d06c59659028d79a36a7637cf15505cc56779ce",
    11: "757b289b0fdf63351f5f4e5b57d903f8adfe5c5ee1596c40db192a8b5c42db73",
    12: "800df20855fcec62a9fb937a6c62d7d0e0216c416a45bc90224f30366da45e87",
    13: "3db2acfa83bcd1ecd9998e631827b4973b62acd5b29322602ca2eb4ae29ff969",
    14: "3cf4d61c5e6cfbcbb2c74ea0d831154021a5409ae6f651eecadd1dd1dc9bb784",
}

#: Asks the engine to parse statements: what a cluster would run can be checked without one.
PARSE = """
import json, sys
import chdb
connection = chdb.connect(":memory:")
errors = []
for sql in json.load(sys.stdin):
    try:
        connection.query("EXPLAIN AST " + sql)
    except Exception as error:
        errors.append([sql, str(error)])
connection.close()
json.dump(errors, sys.stdout)
"""


def migration(template: str) -> Migration:
    return Migration(1, "0001_test.sql", template)


def rendered(template: str, cluster: str | None = None) -> list[str]:
    return [statement.sql for statement in render(migration(template), "shop", cluster)]


def test_shipped_files_are_not_edited() -> None:
    assert {item.number: item.checksum for item in shipped()} == SHIPPED


def test_numbers_are_those_of_the_files_without_a_gap() -> None:
    assert [item.number for item in shipped()] == list(range(1, len(shipped()) + 1))
    assert all(item.name.startswith(f"{item.number:04}_") for item in shipped())


@pytest.mark.parametrize("cluster", [None, "main"])
def test_every_statement_is_valid_sql(cluster: str | None) -> None:
    statements = [
        statement.sql for item in shipped() for statement in render(item, "shop", cluster)
    ]
    statements.append("CREATE TABLE of nonsense")  # the check itself works
    ran = subprocess.run(
        [sys.executable, "-c", PARSE],
        input=json.dumps(statements),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [sql for sql, _ in json.loads(ran.stdout)] == ["CREATE TABLE of nonsense"]


@pytest.mark.parametrize("cluster", [None, "main"])
def test_no_placeholder_is_left(cluster: str | None) -> None:
    for item in shipped():
        for statement in render(item, "shop", cluster):
            assert "${" not in statement.sql
            assert ("ON CLUSTER 'main'" in statement.sql) is (cluster is not None)


def test_on_a_cluster_every_table_is_replicated_or_distributed() -> None:
    engines = []
    for item in shipped():
        for statement in render(item, "shop", "main"):
            created = re.search(r"CREATE TABLE IF NOT EXISTS `shop`\.(\w+)", statement.sql)
            engine = re.search(r"ENGINE = (\w+)\(([^\n]*)\)", statement.sql)
            if created and engine:
                engines.append((created[1], engine[1], engine[2]))
    by_table = {table: (engine, arguments) for table, engine, arguments in engines}
    engine, arguments = by_table["interaction_records"]
    assert engine == "Distributed"
    assert arguments == "'main', `shop`, interaction_records_local, cityHash64(customer_key)"
    engine, arguments = by_table["interaction_records_local"]
    assert engine == "ReplicatedReplacingMergeTree"
    assert arguments == (
        "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}', ingested_at"
    )
    engine, arguments = by_table["catalog_stages"]
    assert engine == "ReplicatedReplacingMergeTree"
    assert arguments == "'/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}'"
    assert {engine for engine, _ in by_table.values()} == {
        "Distributed",
        "ReplicatedReplacingMergeTree",
    }


def test_on_a_cluster_the_tables_of_moments_are_sharded_by_customer() -> None:
    (moments,) = (item for item in shipped() if item.name == "0008_moments.sql")
    statements = [statement.sql for statement in render(moments, "shop", "main")]
    for table in ("moment_records", "promise_records"):
        (local,) = (sql for sql in statements if f"EXISTS `shop`.{table}_local " in sql)
        assert "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/" in local
        (everywhere,) = (sql for sql in statements if f"EXISTS `shop`.{table} " in sql)
        assert f"{table}_local, cityHash64(customer_key))" in everywhere
    (progress,) = (sql for sql in statements if "EXISTS `shop`.detection_progress " in sql)
    assert "ReplicatedReplacingMergeTree('/clickhouse/tables/all/" in progress


def test_a_table_that_holds_rows_is_altered_before_the_one_that_is_distributed() -> None:
    (clocks,) = (item for item in shipped() if item.number == 7)
    altered = re.compile(r"ALTER TABLE `shop`\.(\w+) (ON CLUSTER 'main')?\s+(\w+)")

    def alterations(cluster: str | None) -> list[tuple[str, ...]]:
        found = [altered.match(item.sql) for item in render(clocks, "shop", cluster)]
        return [match.group(1, 3) for match in found if match]

    here, there = "interaction_records_local", "interaction_records"
    assert alterations("main") == [
        (here, "ADD"),
        (here, "MODIFY"),
        (there, "ADD"),
        (there, "MODIFY"),
    ]
    assert alterations(None) == [(there, "ADD"), (there, "MODIFY")]


def test_statements_end_at_semicolons_that_are_not_quoted() -> None:
    template = (
        "-- a; comment\nSELECT 'a;''b\\';', `c;d`, \"e;f\"; -- last; one\nSELECT 1 - 2 / 3;\n"
    )
    assert rendered(template) == [
        "SELECT 'a;''b\\';', `c;d`, \"e;f\"",
        "SELECT 1 - 2 / 3",
    ]
    assert rendered("SELECT /* a; b */ 1") == ["SELECT /* a; b */ 1"]
    assert rendered("SELECT 1;\n-- the end\n") == ["SELECT 1"]


def test_placeholders() -> None:
    template = (
        "${database}.${table:t}|${on_cluster}|${engine:ReplacingMergeTree(a)}|"
        "${engine:MergeTree}|${engine_everywhere:ReplacingMergeTree(b, c)}"
    )
    assert rendered(template) == [
        "`shop`.t||ReplacingMergeTree(a)|MergeTree|ReplacingMergeTree(b, c)"
    ]
    assert rendered(template, "main") == [
        "`shop`.t_local|ON CLUSTER 'main'|"
        "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', "
        "'{replica}', a)|"
        "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')|"
        "ReplicatedReplacingMergeTree('/clickhouse/tables/all/{database}/{table}', "
        "'{shard}-{replica}', b, c)"
    ]


def test_conditions() -> None:
    template = (
        "-- if: cluster\nSELECT ${cluster};\n-- why\n-- if: no database\nSELECT 2;\nSELECT 3;"
    )
    alone = render(migration(template), "shop", None)
    assert [(item.sql, item.creates_database) for item in alone] == [
        ("SELECT 2", True),
        ("SELECT 3", False),
    ]
    assert rendered(template, "main") == ["SELECT 'main'", "SELECT 2", "SELECT 3"]


def test_an_unknown_placeholder_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown placeholder"):
        rendered("SELECT ${no_such}")


def test_a_cluster_name_cannot_hold_sql() -> None:
    with pytest.raises(SettingsError, match="TOUCHLINE_CLUSTER"):
        rendered("SELECT 1", "main' SYNC")
