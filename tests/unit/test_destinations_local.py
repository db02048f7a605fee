"""Destinations on this machine, and where secrets are."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.alerts.answers import DeliveryError
from pipeline.alerts.destinations.file_sender import FileSender
from pipeline.alerts.destinations.stdout import StdoutSender, block
from pipeline.alerts.secret_source import read_secret
from pipeline.alerts.wording import one_line, without
from pipeline.errors import SettingsError
from schemas.alerts import File, Stdout
from schemas.notification import Notification
from tests.receivers import DELIVERY, notification


def file_sender(path: Path) -> FileSender:
    return FileSender(File(type="file", id="log", path=str(path)))


def send(sender: FileSender | StdoutSender, *told: Notification) -> None:
    async def run() -> None:
        for number, one in enumerate(told):
            await sender.send(one, UUID(int=DELIVERY.int + number))
        await sender.close()

    asyncio.run(run())


def test_a_file_gets_a_cloud_event_a_line(tmp_path: Path) -> None:
    path = tmp_path / "alerts.ndjson"
    sender = file_sender(path)
    send(sender, notification(), notification(sequence=2, action="resolve"))
    path.rename(tmp_path / "rotated")
    send(sender, notification(sequence=3))
    kept = (tmp_path / "rotated").read_text().splitlines()
    assert [json.loads(line)["data"]["sequence"] for line in kept] == [1, 2]
    assert json.loads(kept[0])["id"] == str(DELIVERY)
    assert json.loads(path.read_text())["data"]["sequence"] == 3
    assert path.stat().st_mode & 0o007 == 0


def test_a_line_that_broke_off_swallows_none(tmp_path: Path) -> None:
    path = tmp_path / "alerts.ndjson"
    path.write_bytes(b'{"id":"half')
    send(file_sender(path), notification())
    first, second = path.read_text().splitlines()
    assert first == '{"id":"half'
    assert json.loads(second)["id"] == str(DELIVERY)


def test_lines_of_many_senders_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "alerts.ndjson"
    long = notification(text="x" * 20_000)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: send(file_sender(path), *[long] * 10), range(4)))
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 40


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="destination log: there is no directory .*fix: make"):
        file_sender(tmp_path / "nowhere" / "alerts.ndjson")
    with pytest.raises(SettingsError, match="destination log: cannot write"):
        file_sender(tmp_path)
    folder = tmp_path / "gone"
    folder.mkdir()
    sender = file_sender(folder / "alerts.ndjson")
    folder.rmdir()
    with pytest.raises(DeliveryError, match="No such file or directory"):
        send(sender, notification())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_a_failure() -> None:
    with pytest.raises(DeliveryError, match="No space left") as caught:
        send(file_sender(Path("/dev/full")), notification())
    assert not caught.value.permanent


def test_a_person_reads_a_block(capsys: pytest.CaptureFixture[str]) -> None:
    sender = StdoutSender(Stdout(type="stdout", id="screen"))
    send(sender, notification(escalated=True, acknowledged_by="Kim"))
    assert capsys.readouterr().out == (
        "ALERT [high, pain, escalated] 3 messages without an answer\n"
        "  Three customers wait.\n"
        "  The first since noon.\n"
        "  2 of 3 open · owner Care, first line · route pains · "
        "alert 00000000-0000-0000-0000-000000000001\n"
        "  acknowledged by Kim\n"
        "  https://desk.example.com/alerts/1\n\n"
    )


def test_nothing_in_a_text_steers_the_terminal() -> None:
    odd = "a\x1b[2Jb\x9b31m\u202ec\rd"
    text = block(notification(title=odd, text=odd + "\n" + odd, owner=odd, acknowledged_by=odd))
    assert not any(char in text for char in "\x1b\x9b\u202e\r")
    _, *rest = text.rstrip("\n").split("\n")
    assert all(line.startswith("  ") for line in rest)  # none looks like an alert of its own


def test_characters_that_a_terminal_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "screen").open("w", encoding="ascii") as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        send(StdoutSender(Stdout(type="stdout", id="screen")), notification(title="Müller"))
    assert "M?ller" in (tmp_path / "screen").read_text()


def test_a_reader_that_stands_still_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    blocked = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stdout", blocked)
    sender = StdoutSender(Stdout.model_validate({"type": "stdout", "id": "s", "timeout": "1s"}))
    try:
        with pytest.raises(DeliveryError, match="standard output: blocked for 1 s"):
            send(sender, notification(text="x\n" * 500_000))
    finally:
        while os.read(reading, 1_000_000).count(b"alert 0000") == 0:
            pass  # let the thread go
        monkeypatch.undo()
        blocked.close()
        os.close(reading)


def test_standard_output_that_went_away_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    screen = (tmp_path / "screen").open("w")
    screen.close()
    for gone in (screen, None):
        monkeypatch.setattr(sys, "stdout", gone)
        with pytest.raises(DeliveryError, match="standard output: closed"):
            send(StdoutSender(Stdout(type="stdout", id="screen")), notification())


def test_secrets_come_from_variables_and_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DESK", " s3cret ")
    (tmp_path / "desk").write_text("s3cret\r\n")
    for source in ("env:DESK", f"file:{tmp_path}/desk"):
        secret = read_secret(source, "desk")
        assert secret.get_secret_value() == "s3cret"
        assert "s3cret" not in repr(secret)


def test_a_secret_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DESK", raising=False)
    monkeypatch.setenv("EMPTY", " ")
    (tmp_path / "binary").write_bytes(b"s3cret\xff")
    (tmp_path / "large").write_text("s3cret" * 20_000)
    for source, says in (
        ("env:DESK", "environment variable DESK is not set"),
        ("env:EMPTY", "env:EMPTY is empty"),
        (f"file:{tmp_path}/nothing", f"cannot read {tmp_path}/nothing: No such file"),
        (f"file:{tmp_path}", f"cannot read {tmp_path}: Is a directory"),
        (f"file:{tmp_path}/binary", "is not UTF-8"),
        (f"file:{tmp_path}/large", "is too large"),
        ("file:a\x00b", "not a path"),
    ):
        with pytest.raises(SettingsError) as caught:
            read_secret(source, "desk")
        assert str(caught.value).startswith("destination desk: ")
        assert says in str(caught.value)
        assert "s3cret" not in str(caught.value)


def test_text_from_elsewhere_is_made_fit_to_show() -> None:
    assert one_line(" a\n b\tc\x00d ") == "a b c d"
    assert one_line("x" * 300) == "x" * 199 + "…"
    assert without("key=abcdef&short=abc", ["abc", "abcdef", ""]) == "key=***&short=***"
