from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import (
    FatalError,
    RejectedInput,
    RejectedRecord,
)
from pipeline.producers.completion import OTHER_CHANNEL, checked
from pipeline.producers.lines import BOM, Lines, Source, opened
from pipeline.producers.producer import checker
from pipeline.producers.reject_file import RejectFile
from tests.unit.events import event, events
from tests.unit.logs import reason_of

CHANNELS = frozenset({"web", "store", "mail"})
CHECK = checker(CHANNELS, 4_096)


def source(content: bytes) -> Source:
    return Source(io.BytesIO(content), "made.ndjson", len(content), lambda: 0)


@given(events)
def test_complete_lines_are_sent_as_they_are(made: dict[str, Any]) -> None:
    if made["channel"] not in CHANNELS:
        made["channel"] = "mail"
        made.pop("details", None)
    value = orjson.dumps(made)
    try:
        CHECK(value)
    except RejectedRecord as refused:
        assert reason_of(checked, value, None, CHECK) == refused.reason
    else:
        assert checked(b"  " + value + b"\r", None, CHECK)[0] == value
        assert checked(value, made["channel"], CHECK)[0] == value


@pytest.mark.parametrize(
    "missing", [{"channel"}, {"schema_version"}, {"channel", "schema_version"}]
)
def test_what_goes_without_saying_is_put_in(missing: set[str]) -> None:
    changes: dict[str, Any] = dict.fromkeys(missing)
    # the words inside something else do not count, and digits stay as they are
    odd = {"details": {"channel": "x", "schema_version": "x", "n": 1}}
    line = orjson.dumps(event(**odd, **changes)).replace(b'"n":1', b'"n": 1.10')
    value, decoded = checked(line, "web", CHECK)
    assert value.endswith(line[1:])
    assert decoded.event == {**event(**odd), "details": {**odd["details"], "n": 1.1}}
    plain = orjson.dumps(event(**changes))
    assert checked(plain, "web", CHECK)[1].event == event()


@pytest.mark.parametrize(
    ("line", "channel", "reason"),
    [
        (orjson.dumps(event()), "store", OTHER_CHANNEL),
        (orjson.dumps(event(channel=None)), None, "missing_field"),
        (b'{"channel":null}', "web", "missing_field"),
        (b"{}", "web", "missing_field"),
        (b"[]", "web", "not_an_object"),
        (b"", "web", "empty"),
        (b'{"a":1', "web", "invalid_json"),
        (b'{"a":NaN}', "web", "invalid_json"),
        (b'{"event_id":"1","event_id":"2"}', "web", "duplicate_key"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "web", "too_deep"),
        (b'{"a":"' + b"x" * 4_096 + b'"}', "web", "too_large"),
    ],
)
def test_lines_that_cannot_be_sent(line: bytes, channel: str | None, reason: str) -> None:
    found = reason_of(checked, line, channel, CHECK)
    assert found == reason or (found, reason) == ("invalid_field", "missing_field")


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_lose_no_byte(values: list[bytes], data: Any) -> None:
    limit = data.draw(st.integers(1, 20))
    if values and values[0].startswith((BOM, b"\xff\xfe", b"\xfe\xff")):
        values[0] = b"x" + values[0]
    content = b"\n".join(values)
    lines = Lines(source(content), limit)
    found = []
    for line in lines:
        assert line.number == len(found) + 1
        assert line.whole or len(line.value) > limit
        found.append(line.value + b"".join(lines.rest()))
    # a line feed at the end of the file begins no further line
    assert found == (content.removesuffix(b"\n").split(b"\n") if content else [])


def test_a_long_line_is_skipped_where_nobody_reads_it() -> None:
    lines = Lines(source(BOM + b"a\n" + b"x" * 5_000_000 + b"\nb"), 100)
    assert [(line.number, line.whole, line.value[:1]) for line in lines] == [
        (1, True, b"a"),
        (2, False, b"x"),
        (3, True, b"b"),
    ]


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RejectedInput, match="No such file"), opened(tmp_path / "none"):
        pass
    (tmp_path / "not.gz").write_bytes(b"plain text")
    with opened(tmp_path / "not.gz") as found, pytest.raises(RejectedInput, match="after line 0"):
        list(Lines(found, 100))


def test_rejects_are_whole_and_their_reasons_stand_beside(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    with RejectFile(path) as rejects:
        rejects.header(b"a,b")
        rejects.add([b"1,", b'"x\ny"'], row=4, reason="r")
        rejects.add([b"2"], row=5, reason="s")
    assert path.read_bytes() == b'a,b\n1,"x\ny"\n2\n'
    assert rejects.reasons is not None
    assert [orjson.loads(line) for line in rejects.reasons.read_bytes().splitlines()] == [
        {"rejects_line": 2, "row": 4, "reason": "r"},
        {"rejects_line": 4, "row": 5, "reason": "s"},
    ]


def test_a_reject_file_overwrites_nothing_and_leaves_nothing_empty(tmp_path: Path) -> None:
    path = tmp_path / "bad"
    with RejectFile(path) as rejects:
        rejects.header(b"a,b")
    assert list(tmp_path.iterdir()) == []
    for taken in (path, tmp_path / "bad.reasons.ndjson"):
        taken.write_bytes(b"precious")
        with pytest.raises(RejectedInput, match="is there already"), RejectFile(path):
            pass
        assert [item.read_bytes() for item in tmp_path.iterdir()] == [b"precious"]
        taken.unlink()
    with pytest.raises(RejectedInput, match="cannot be made"), RejectFile(tmp_path / "no" / "file"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    rejects = RejectFile(tmp_path / "bad")
    with pytest.raises(FatalError, match="No space left"), rejects:
        assert rejects._entries is not None
        rejects._entries.close()
        rejects._entries = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
        rejects.add([b"x"], line=1)
