"""Writing event logs: what XML cannot hold, objects that are shared, answers that break off."""

from __future__ import annotations

import gzip
import io
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pyarrow as pa
import pytest
import typer

from jobs.export import export
from jobs.whole_file import whole_file
from pipeline.errors import RetryableError
from pipeline.export.columns import NAMES, NUMBERS
from pipeline.export.flat import CsvLog, ParquetLog
from pipeline.export.ocel import OcelLog
from pipeline.export.source import Selection, batches
from pipeline.export.xes import XesLog

AT = datetime(2026, 10, 1, 9, 15, 30, 5, tzinfo=timezone.utc)
XES = "{http://www.xes-standard.org/}"


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    """Return events; what is not given is empty, as in the source."""
    made = []
    for number, row in enumerate(rows):
        empty: dict[str, Any] = dict.fromkeys(NAMES, "")
        empty |= dict.fromkeys(NUMBERS, 0)
        empty |= {"event_id": f"e{number}", "customer_key": "c", "journey_id": "j"}
        made.append({**empty, "case_id": "a", "touchpoint": "faq", "occurred_at": AT, **row})
    columns = {
        name: pa.array(
            [row[name] for row in made],
            pa.timestamp("us", "UTC")
            if name == "occurred_at"
            else pa.uint64()
            if name in NUMBERS
            else pa.string(),
        )
        for name in NAMES
    }
    return pa.RecordBatch.from_pydict(columns)


def written(kind: Any, *blocks: pa.RecordBatch) -> bytes:
    file = io.BytesIO()
    with kind(file) as log:
        for block in blocks:
            log.write(block)
    return file.getvalue()


def test_xes_holds_every_text_that_xml_can() -> None:
    hostile = "a<b>&\"c'\n\té😀\x00\x0b\ud7ff\ufffe"
    found = ElementTree.fromstring(written(XesLog, batch({"case_id": hostile, "need": hostile})))  # noqa: S314
    shown = hostile.translate({0: "\ufffd", 0xB: "\ufffd", 0xFFFE: "\ufffd"})
    (trace,) = found.findall(f"{XES}trace")
    assert trace.find(f"{XES}string").attrib == {"key": "concept:name", "value": shown}
    (event,) = trace.findall(f"{XES}event")
    texts = {item.attrib["key"]: item.attrib["value"] for item in event}
    assert texts["need"] == shown
    assert texts["concept:name"] == "faq"
    assert texts["time:timestamp"] == "2026-10-01T09:15:30.000005+00:00"
    assert texts["lifecycle:transition"] == "complete"
    assert "channel" not in texts


def test_a_case_goes_on_over_blocks_and_an_empty_log_is_one() -> None:
    first = batch({"case_id": "a"}, {"case_id": "b"})
    second = batch({"case_id": "b"}, {"case_id": "c"})
    log = ElementTree.fromstring(written(XesLog, first, second))  # noqa: S314
    assert [len(t.findall(f"{XES}event")) for t in log.findall(f"{XES}trace")] == [1, 2, 1]
    assert ElementTree.fromstring(written(XesLog)).findall(f"{XES}trace") == []  # noqa: S314
    assert json.loads(written(OcelLog))["events"] == []
    assert pl.read_csv(written(CsvLog)).height == pl.read_parquet(written(ParquetLog)).height == 0


def test_an_object_that_customers_share_is_there_once() -> None:
    shared = '{"order_id":"o 1","ticket_id":"o 1"}'
    rows = [{"customer_key": key, "journey_id": f"j{key}", "case_ids_json": shared} for key in "ab"]
    log = json.loads(written(OcelLog, batch(rows[0]), batch(rows[1])))
    assert [item["id"] for item in log["objects"]] == [
        "customer:a", "journey:ja", "order_id:o 1", "ticket_id:o 1", "customer:b", "journey:jb",
    ]  # fmt: skip
    assert [item["id"] for item in log["events"]] == ["a:e0", "b:e0"]
    assert [item["qualifier"] for item in log["events"][1]["relationships"]] == [
        "customer", "journey", "order_id", "ticket_id",
    ]  # fmt: skip
    declared = {item["name"] for item in log["objectTypes"]}
    assert declared == {item["type"] for item in log["objects"]}
    (kind,) = log["eventTypes"]
    known = {item["name"] for item in kind["attributes"]}
    assert {item["name"] for event in log["events"] for item in event["attributes"]} <= known


def test_flat_files_hold_the_same() -> None:
    rows = batch({"need": 'a,"b"\n', "pains": 2}, {"channel": "web"})
    csv, parquet = (
        pl.read_csv(written(CsvLog, rows), try_parse_dates=True),
        pl.read_parquet(written(ParquetLog, rows)),
    )
    assert csv.columns == parquet.columns
    assert csv["time:timestamp"].to_list() == parquet["time:timestamp"].to_list() == [AT, AT]
    for name in ("case:concept:name", "concept:name", "need", "channel", "pains"):
        assert csv[name].to_list() == parquet[name].to_list()
    assert parquet["channel"].to_list() == [None, "web"]


class Answer:
    """A client whose answer is some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def raw_stream(self, sql: str, parameters: dict[str, Any], fmt: str) -> io.BytesIO:
        assert fmt == "ArrowStream"
        return io.BytesIO(self._data)


def test_an_answer_that_breaks_off_is_never_taken_for_whole() -> None:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch().schema) as stream:
        for _ in range(3):
            stream.write_batch(batch({}, {}))
    whole = sink.getvalue()
    client: Any = Answer(whole)
    assert sum(block.num_rows for block in batches(client, Selection())) == 6
    for length in range(len(whole)):
        client = Answer(whole[:length])
        with pytest.raises(RetryableError):
            list(batches(client, Selection()))
    client = Answer(whole + b"Code: 241. DB::Exception")
    with pytest.raises(RetryableError):
        list(batches(client, Selection()))


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, zipped: bool) -> None:
    target = tmp_path / "log.xes"
    target.write_bytes(b"before")
    with pytest.raises(RetryableError), whole_file(target, zipped=zipped) as file:
        file.write(b"half")
        raise RetryableError("gone")
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]
    with whole_file(target, zipped=zipped) as file:
        file.write(b"all")
    found = target.read_bytes()
    assert (gzip.decompress(found) if zipped else found) == b"all"
    assert list(tmp_path.iterdir()) == [target]
    missing = tmp_path / "no" / "such"
    with pytest.raises(typer.BadParameter, match="No such file"), whole_file(missing):
        pass


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"target": "log.txt"}, "cannot tell the format"),
        ({"target": "no/such/log.xes"}, "no such directory"),
        ({"target": "log.parquet.gz"}, "Parquet is compressed"),
        ({"target": "log.json", "case": "journey"}, "OCEL relates events to all cases"),
        ({"target": "log.xes", "since": "soon"}, "must be a time such as"),
        ({"target": "log.xes", "since": "2026-10-02", "until": "2026-10-02"}, "before --until"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_started(
    arguments: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = Path(arguments.pop("target"))
    with pytest.raises(typer.BadParameter, match=says):
        export(target, **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
