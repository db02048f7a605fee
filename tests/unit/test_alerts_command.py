"""``touchline alerts test``: does an alert reach its destination?"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from tests.receivers import Receiver, receiving
from tests.unit.catalogs import SMALL

ROOT = Path(__file__).resolve().parents[2]
SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
DESTINATIONS = """
[[destinations]]
id = "log"
type = "file"
path = "alerts.ndjson"

[[destinations]]
id = "desk"
type = "webhook"
url = "http://127.0.0.1:{port}/hooks/t0ken"
secret_from = "env:DESK_SECRET"
allow_loopback_http = true
timeout = "20s"

[[destinations]]
id = "screen"
type = "stdout"
"""


def touchline(
    folder: Path, *arguments: str, port: int = 1, secret: str = SECRET
) -> subprocess.CompletedProcess[str]:
    (folder / "mine.toml").write_text(SMALL + DESTINATIONS.replace("{port}", str(port)))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TOUCHLINE_")}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", "alerts", "test", *arguments, "--catalog", "mine.toml"],
        cwd=folder,
        env={**kept, "PYTHONPATH": paths, "COLUMNS": "200", "DESK_SECRET": secret},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_receiver_gets_a_sample_and_that_it_is_over(tmp_path: Path) -> None:
    receiver = Receiver()

    async def run() -> subprocess.CompletedProcess[str]:
        async with receiving(receiver, tls=False):
            return await asyncio.to_thread(
                touchline, tmp_path, "desk", "--resolve", port=receiver.port
            )

    done = asyncio.run(run())
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "desk: trigger taken (HTTP 200): ok\ndesk: resolve taken (HTTP 200): ok\n"
    )
    trigger, resolve = (Verifier(SECRET).verify(got.body, got.headers) for got in receiver.got)
    assert trigger["type"] == "touchline.alert.trigger.v1"
    assert resolve["type"] == "touchline.alert.resolve.v1"
    assert trigger["subject"] == resolve["subject"]
    assert trigger["data"]["test"] is True


def test_what_a_receiver_refuses_is_said(tmp_path: Path) -> None:
    receiver = Receiver(status=404, text="no such hook t0ken")

    async def run() -> subprocess.CompletedProcess[str]:
        async with receiving(receiver, tls=False):
            return await asyncio.to_thread(
                touchline, tmp_path, "desk", "--resolve", port=receiver.port
            )

    done = asyncio.run(run())
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"desk: trigger not taken: http://127.0.0.1:{receiver.port}: HTTP 404: no such hook"
    )
    assert len(receiver.got) == 1  # nothing to resolve


def test_nobody_listens(tmp_path: Path) -> None:
    done = touchline(tmp_path, "desk")
    assert done.returncode == 1
    assert done.stderr == ("desk: trigger not taken: http://127.0.0.1:1: connection refused\n")


def test_programs_get_json_also_where_the_destination_is_the_screen(tmp_path: Path) -> None:
    done = touchline(tmp_path, "screen", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["sent"]
    assert (row["action"], row["taken"], row["status"]) == ("trigger", True, 0)
    assert "ALERT [low, pain, test] Touchline reaches screen" in done.stderr


def test_a_file_gets_a_line(tmp_path: Path) -> None:
    assert touchline(tmp_path, "log", "--resolve").returncode == 0
    lines = (tmp_path / "alerts.ndjson").read_text().splitlines()
    assert [json.loads(line)["data"]["action"] for line in lines] == ["trigger", "resolve"]


def test_an_unknown_destination_names_those_there_are(tmp_path: Path) -> None:
    done = touchline(tmp_path, "dsek")
    assert done.returncode == 2
    said = " ".join(done.stderr.replace("│", " ").split())
    assert "no destination 'dsek' in the catalog (there are: log, desk, screen)" in said
    assert "did you mean 'desk'?" in said


@pytest.mark.parametrize("secret", ["", "whsec_short"])
def test_a_secret_that_cannot_be_used_is_said(tmp_path: Path, secret: str) -> None:
    done = touchline(tmp_path, "desk", secret=secret)
    assert done.returncode == 1
    assert done.stderr.startswith("touchline: destination desk: env:DESK_SECRET")
    assert "Traceback" not in done.stderr
