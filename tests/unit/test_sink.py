"""The fence against a table that fails at every moment a network can fail."""

from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, DataError, OperationalError
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RetryableError, SchemaMismatch
from pipeline.rows import COLUMNS
from pipeline.sink import MAX_MONTHS, Sink, _blocks

IDS = {"a": UUID(int=1), "b": UUID(int=2)}
AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def row(topic, partition, offset, at=AT, touchpoint="t"):
    values = dict.fromkeys(COLUMNS)
    values.update(topic=topic, topic_id=IDS[topic], partition=partition, offset=offset)
    values.update(occurred_at=at, touchpoint=touchpoint)
    return tuple(values.values())


class Result:
    def __init__(self, rows):
        self.result_rows = rows


class Table:
    """What the sink asks ClickHouse, on a list; ``faults`` says how each insert goes wrong."""

    def __init__(self, faults=()):
        self.rows = []
        self.faults = list(faults)
        self.inserts = 0

    def query(self, sql, parameters):
        mine = [
            (partition, offset)
            for topic, topic_id, partition, offset in self.rows
            if topic == parameters["topic"] and topic_id == parameters["topic_id"]
        ]
        if "max(offset)" in sql:
            top = {}
            for partition, offset in mine:
                if partition in parameters["partitions"]:
                    top[partition] = max(offset, top.get(partition, 0))
            return Result([("", "", partition, offset) for partition, offset in top.items()])
        return Result(
            [
                (offset,)
                for partition, offset in set(mine)
                if partition == parameters["partition"]
                and parameters["first"] <= offset <= parameters["last"]
            ]
        )

    def insert(self, table, data, column_names, column_oriented, settings):
        assert settings["async_insert"] == 0
        self.inserts += 1
        fault = self.faults.pop(0) if self.faults else "none"
        rows = list(zip(*data[:4], strict=True))
        if fault == "lost":
            raise OperationalError("connection refused")
        if fault == "half":
            rows = rows[: len(rows) // 2]
        self.rows += rows
        if fault in ("half", "after"):
            raise OperationalError("connection reset")


places = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 40)), unique=True
)
faults = st.lists(st.sampled_from(["none", "lost", "half", "after"]), max_size=12)


@given(places, faults, st.data())
def test_every_record_is_stored_once_whatever_breaks(wanted, broken, data):
    rows = [row(*place) for place in sorted(wanted, key=lambda place: place[2])]
    table = Table(broken)
    sink = Sink(table)
    begin = 0
    while begin < len(rows):
        end = data.draw(st.integers(begin + 1, len(rows)))
        try:
            sink.store(rows[begin:end])
        except RetryableError:
            if data.draw(st.booleans()):  # restarted: read again from an earlier commit
                sink = Sink(table)
                begin = data.draw(st.integers(0, begin))
            continue
        begin = end
    stored = [(topic, partition, offset) for topic, _, partition, offset in table.rows]
    assert sorted(stored) == sorted(wanted)


def test_a_replay_inserts_nothing():
    table = Table()
    rows = [row("a", 0, offset) for offset in range(100)]
    assert Sink(table).store(rows) == (100, [])
    again = Sink(table)
    assert again.store(rows) == (0, [])
    assert table.inserts == 1
    assert again.store([row("a", 0, 100)]) == (1, [])


def test_a_topic_made_anew_is_another_topic():
    table = Table()
    Sink(table).store([row("a", 0, 0)])
    other = list(row("a", 0, 0))
    other[1] = UUID(int=9)
    assert Sink(table).store([tuple(other)]) == (1, [])


def test_rows_that_cannot_be_stored_are_found_and_the_rest_stored():
    class Strict(Table):
        def insert(self, table, data, column_names, column_oriented, settings):
            if "bad" in data[COLUMNS.index("touchpoint")]:
                raise DataError("cannot serialize")
            super().insert(table, data, column_names, column_oriented, settings)

    rows = [row("a", 0, n, touchpoint="bad" if n in (3, 900) else "t") for n in range(1000)]
    table = Strict()
    stored, unstorable = Sink(table).store(rows)
    assert stored == 998
    assert [bad[3] for bad, _ in unstorable] == [3, 900]
    assert {cause.reason for _, cause in unstorable} == {"unstorable"}
    assert len(table.rows) == 998


def test_a_missing_table_is_fatal_and_says_the_fix():
    class Missing(Table):
        def query(self, sql, parameters):
            error = DatabaseError("no table")
            error.code = 60
            raise error

    with pytest.raises(SchemaMismatch, match="touchline migrate"):
        Sink(Missing()).store([row("a", 0, 0)])


def test_no_block_touches_too_many_months():
    rows = [row("a", 0, n, AT + timedelta(days=31 * n)) for n in range(250)]
    blocks = list(_blocks(rows))
    assert sum(len(block) for block in blocks) == 250
    for block in blocks:
        assert len({(r[19].year, r[19].month) for r in block}) <= MAX_MONTHS
    assert COLUMNS[19] == "occurred_at"
    assert len(list(_blocks(rows[:50]))) == 1
    assert list(_blocks([])) == []
