from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import CatalogError, RejectedInput
from pipeline.mapping.csv_log import CsvLog
from pipeline.mapping.log_reader import open_log
from pipeline.mapping.log_rows import ROW_COLUMN, UNNUMBERED, BadRow, Row
from pipeline.mapping.mapped import Mapped, Mapper, Unfit
from pipeline.producers.lines import Source
from pipeline.producers.producer import checker
from tests.unit.logs import CHANNELS, LOG, MAP, event, loaded_map, misfit, results


def csv_rows(content: bytes) -> list[Row | BadRow]:
    source = Source(io.BytesIO(content), "x.csv", len(content), lambda: 0)
    return list(CsvLog(source, ",").rows())


_cell = st.text(
    st.characters(min_codepoint=1, exclude_categories=("Cs",), exclude_characters="\r"), max_size=12
)
_table = st.lists(st.tuples(st.just("x"), _cell, _cell), max_size=6)


def written(rows: list[tuple[str, str, str]]) -> list[bytes]:
    lines = []
    for row in rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(row)
        lines.append(text.getvalue().encode())
    return lines


@given(_table)
def test_csv_is_read_back_with_its_bytes(rows: list[tuple[str, str, str]]) -> None:
    lines = written(rows)
    found = csv_rows(b"a,b,c\n" + b"".join(lines))
    assert [tuple(row.values.values()) for row in found if isinstance(row, Row)] == rows
    assert [row.number for row in found] == list(range(1, len(rows) + 1))
    assert [row.raw for row in found] == [
        f"{number},".encode() + line[:-1] for number, line in enumerate(lines, 1)
    ]


@given(
    _table.filter(bool),
    st.sampled_from([b'x,"stray,c\n', b"too,few\n", b"one,too,many,fields\n", b"x,\xff\xfe,c\n",
                     b'x,"a"b,c\n']),
    st.data(),
)  # fmt: skip
def test_one_bad_row_costs_no_other(
    rows: list[tuple[str, str, str]], bad: bytes, data: Any
) -> None:
    lines = written(rows)
    place = data.draw(st.integers(0, len(lines)))
    found = csv_rows(b"a,b,c\n" + b"".join([*lines[:place], bad, *lines[place:]]))
    wrong = [row for row in found if isinstance(row, BadRow)]
    assert [(row.number, row.raw) for row in wrong] == [
        (place + 1, f"{place + 1},".encode() + bad[:-1])
    ]
    assert [tuple(row.values.values()) for row in found if isinstance(row, Row)] == rows


REJECTS = (
    b'touchline_row,id,name\n7,1,a\n12,2\n23,"3" x,c\n31,4,\xff\nx,5,e\n,6,f\nragged\n"44",7,g,h\n'
)


def test_rows_of_a_reject_file_keep_their_numbers() -> None:
    found = csv_rows(REJECTS)
    assert [(row.number, row.line) for row in found] == [
        (7, 2), (12, 3), (23, 4), (31, 5), (5, 6), (6, 7), (7, 8), (44, 9),
    ]  # fmt: skip
    assert [row.error if isinstance(row, BadRow) else "" for row in found] == [
        "",
        "has 1 fields, the header has 2",
        "',' expected after '\"'",
        "not UTF-8",
        UNNUMBERED,
        UNNUMBERED,
        f"has 0 fields, the header has 2; {UNNUMBERED}",
        "has 3 fields, the header has 2",
    ]
    assert [row.raw for row in found] == REJECTS.splitlines()[1:]
    assert isinstance(found[0], Row)
    assert found[0].values == {"id": "1", "name": "a"}


def test_a_reject_file_with_its_numbers_elsewhere_says_what_it_counts() -> None:
    moved, ragged, endless = csv_rows(b"id,touchline_row\n1,9\n5\n2," + b"9" * 5000 + b"\n")
    assert (moved.number, ragged.number, endless.number) == (9, 2, 3)
    assert isinstance(ragged, BadRow)
    assert ragged.error == f"has 0 fields, the header has 1; {UNNUMBERED}"
    assert isinstance(endless, BadRow)
    assert endless.error == UNNUMBERED


def test_csv_of_other_programs() -> None:
    content = b'\xef\xbb\xbfid, name \r\n1,a\r\n\r\n2,"b\r\nb"\r\n3,c'
    found = csv_rows(content)
    assert [row.values for row in found if isinstance(row, Row)] == [
        {"id": "1", "name": "a"}, {"id": "2", "name": "b\r\nb"}, {"id": "3", "name": "c"},
    ]  # fmt: skip
    assert [(row.number, row.line) for row in found] == [(1, 2), (2, 4), (3, 6)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"a,b,a\n", "column twice: a"),
        (b"\xff\xfea\x00", "is UTF-16"),
        (b"a\xff,b\n", "is not UTF-8"),
        (b'"a,b\n', "line 1: unexpected end of data"),
    ],
)
def test_unusable_csv(content: bytes, told: str) -> None:
    with pytest.raises(RejectedInput, match=told):
        csv_rows(content)


def test_a_log_must_be_there_and_say_what_it_is(tmp_path: Path) -> None:
    mapping = loaded_map(tmp_path).mapping
    for name, told in (("nothing.csv", "No such file"), ("log.xls", "does not say what it is")):
        with pytest.raises(RejectedInput, match=told), open_log(tmp_path / name, mapping):
            pass
    broken = tmp_path / "log.parquet"
    broken.write_bytes(b"PAR1 not really")
    with pytest.raises(RejectedInput, match="not a usable Parquet file"), open_log(broken, mapping):
        pass


def test_a_cut_gzip_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    rows = "".join(f"{n},2026-03-01 12:00:00,view,Internet,C-{n * 7919}\n" for n in range(50_000))
    packed = gzip.compress(("id,at,what,via,who\n" + rows).encode())
    path = tmp_path / "log.csv.gz"
    path.write_bytes(packed[: len(packed) // 2])
    mapping = loaded_map(tmp_path)
    with open_log(path, mapping.mapping) as log:
        rows_read = Mapper(mapping, log, checker(CHANNELS, 262_144)).rows()
        found = []
        with pytest.raises(RejectedInput, match="cannot be read on after line"):
            found.extend(rows_read)
        found.extend(rows_read)
    assert 0 < len(found) < 50_000
    assert {type(item) for item in found} == {Mapped}


def test_tsv_and_gzip_by_name(tmp_path: Path) -> None:
    packed = gzip.compress(LOG.replace(",", "\t").encode())
    assert [row.number for row in results(tmp_path, packed, name="log.tsv.gz")] == [1, 2]


NDJSON_MAP = MAP.replace('"who"', '"customer.id"').replace("customer_id", "customer_id")


def test_ndjson_keeps_digits_and_looks_inside(tmp_path: Path) -> None:
    line = (
        '{"id": 123456789012345678901, "at": "2026-03-01T12:00:00Z", "what": "order", '
        '"via": "Internet", "customer": {"id": 7, "tier": "gold"}, "total": 12.10, "cur": "EUR"}'
    )
    text = NDJSON_MAP.replace('"drop"', '"details"') + (
        "[event.amount]\ncolumn = 'total'\n[event.currency]\ncolumn = 'cur'\n"
    )
    made = event(results(tmp_path, f"\n{line}\n", text, "log.ndjson")[0])
    assert made["event_id"] == "123456789012345678901"
    assert made["amount"] == "12.10"
    assert made["identifiers"] == {"customer_id": "7"}
    # what the map takes out of an object as an identifier does not stay behind in the details
    assert made["details"] == {"customer": {"tier": "gold"}}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": NaN}', "bad_row"),
        (b'{"id": 1, "id": 2}', "bad_row"),
        (b"[1]", "bad_row"),
        (b'{"id": "\xff"}', "bad_encoding"),
        (b"[" * 100_000, "bad_row"),
        (b"{}", "missing_value"),
        (b'{"id":"a","at":"2026-03-01T12:00:00Z","what":"\\ud800","via":"Desk"}', "not_a_value"),
    ],
)
def test_bad_ndjson_rows(tmp_path: Path, line: bytes, reason: str) -> None:
    good = json.dumps(
        {"id": 1, "at": "2026-03-01T12:00:00Z", "what": "x", "via": "Desk", "customer": {"id": 1}}
    ).encode()
    found = results(tmp_path, good + b"\n" + line + b"\n" + good, NDJSON_MAP, "log.ndjson")
    assert [isinstance(item, Unfit) for item in found] == [False, True, False]
    number, place, why, _ = misfit(found[1])
    assert (number, place, why) == (2, 2, reason)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b'{"touchline_row":12,"id":NaN}', 12),
        (b'{ "touchline_row" : 12, "id": "\xff"}', 12),
        (b'{"touchline_row":12,"id":', 12),
        (b'{"touchline_row":"x","id":1}', 2),
        (b'{"touchline_row":0,"id":1}', 2),
        (b"[12]", 2),
    ],
)
def test_bad_ndjson_rows_keep_their_numbers(tmp_path: Path, line: bytes, number: int) -> None:
    good = b'{"id":1,"at":"2026-03-01T12:00:00Z","what":"x","via":"Desk","customer":{"id":1}}'
    found = results(tmp_path, good + b"\n" + line, NDJSON_MAP, "log.ndjson")
    assert misfit(found[1])[:2] == (number, 2)


def test_a_column_of_no_row_is_missing(tmp_path: Path) -> None:
    line = '{"id": 1, "at": "2026-03-01T12:00:00Z", "what": "x", "via": "Desk", "customer": 3}\n'
    with pytest.raises(CatalogError, match="no column 'customer.id'"):
        results(tmp_path, line, NDJSON_MAP, "log.ndjson")


def test_parquet_keeps_types(tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=timezone.utc)
    table = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int64()),
            "at": pa.array([at, at, None], pa.timestamp("ns", "UTC")),
            "what": ["a", "b", "c"],
            "via": ["Internet", "Fax", "Desk"],
            "who": [1.0, 2.0, None],
            "seconds": [1.5, None, 2.0],
            "tags": [["x"], [], None],
        }
    )
    pq.write_table(table, tmp_path / "made.parquet")
    text = MAP.replace('"drop"', '"details"').replace(', zone = "Europe/Amsterdam"', "")
    content = (tmp_path / "made.parquet").read_bytes()
    found = results(tmp_path, content, text, "log.parquet")
    assert event(found[0]) == {
        "event_id": "1",
        "schema_version": "1.0",
        "channel": "web",
        "action": "a",
        "occurred_at": "2026-03-01T12:00:00.000001+00:00",
        "identifiers": {"customer_id": "1"},
        "details": {"seconds": 1.5, "tags": ["x"]},
    }
    assert misfit(found[1]) == (2, 0, "unknown_value", "channel")
    assert misfit(found[2]) == (3, 0, "missing_value", "occurred_at")
    assert isinstance(found[1], Unfit)
    assert orjson.loads(found[1].raw)[ROW_COLUMN] == 2
