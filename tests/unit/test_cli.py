"""Every command explains itself, and errors end with the exit code the README gives."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.cli import COMMANDS
from pipeline.settings import Settings, secrets
from tests.unit.catalogs import SMALL

ROOT = Path(__file__).resolve().parents[2]


def touchline(folder, *arguments, **environment):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TOUCHLINE_")}
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", [*COMMANDS, ""])
def test_help(tmp_path, command):
    done = touchline(tmp_path, *filter(None, [command]), "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: touchline" in done.stdout
    if not command:
        assert all(name in done.stdout for name in COMMANDS)


def test_every_command_is_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"touchline {name}" not in text] == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nope"], 2, "No such command 'nope'"),
        (["simulate"], 2, "--out"),
        (["check", "--catalog", "nowhere.toml"], 2, "nowhere.toml: No such file"),
        (["check", "mine.toml"], 2, "did you mean --catalog mine.toml?"),
        (["query", "top_pahts"], 2, "top_paths"),
        (["worker"], 1, "touchline up"),
        (["produce", "web", "events.ndjson"], 1, "touchline up"),
    ],
)
def test_errors_are_words_and_codes(tmp_path, arguments, code, says):
    done = touchline(tmp_path, *arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_setting_is_refused(tmp_path):
    done = touchline(tmp_path, "check", TOUCHLINE_PARTITONS="3")
    assert done.returncode == 1
    assert "TOUCHLINE_PARTITONS" in done.stderr


def test_check_shows_what_an_example_file_comes_to(tmp_path):
    example = ROOT / "schemas" / "examples" / "web" / "valid" / "product_page.json"
    line = " ".join(example.read_text().split())
    (tmp_path / "events.ndjson").write_text(f"{line}\nnot json\n")
    done = touchline(tmp_path, "check", "events.ndjson")
    assert done.returncode == 1
    assert "product_page" in done.stdout
    assert "line 2" in done.stderr
    assert "2 lines: 1 matched, 0 unclassified, 1 invalid" in done.stdout


def test_check_counts_one_thing_as_one(tmp_path):
    example = ROOT / "schemas" / "examples" / "web" / "valid" / "product_page.json"
    (tmp_path / "events.ndjson").write_text(" ".join(example.read_text().split()))
    touchpoint = SMALL.index("[[touchpoints]]", SMALL.index('id = "product_page"'))
    one = SMALL[:touchpoint].replace("point_of_sale", "product_page")
    (tmp_path / "one.toml").write_text(one)
    done = touchline(tmp_path, "check", "events.ndjson", "--catalog", "one.toml")
    assert done.returncode == 0, done.stderr
    assert "1 touchpoint with 1 rule on 3 channels: no problem" in done.stdout.replace("\n", " ")
    assert "1 line: 1 matched" in done.stdout


#: A form that is answered late; then the customer buys, which shows how far time has gone.
STORY = """
{"event_id":"e2","channel":"phone","action":"call_ended","occurred_at":"2026-01-09T10:00:00Z",
 "direction":"outbound","details":{"topic":"contact_form","outcome":"resolved"},
 "case_ids":{"request_id":"Q1"},
 "identifiers":{"email":"Ann@example.com"}}
{"event_id":"e1","channel":"web","action":"form_submitted","occurred_at":"2026-01-05T10:00:00Z",
 "direction":"inbound","details":{"form_id":"contact"},"case_ids":{"request_id":"Q1"},
 "promise_due_at":"2026-01-07T10:00:00Z","identifiers":{"email":"ann@example.com"}}
{"event_id":"e3","channel":"store","action":"purchase","occurred_at":"2026-01-12T10:00:00Z",
 "identifiers":{"email":"ann@example.com"}}
"""


def _story(folder):
    events = STORY.replace(",\n ", ",").strip().splitlines()
    full = [line.replace("{", '{"schema_version":"1.0",', 1) for line in events]
    (folder / "events.ndjson").write_text("\n".join(full))


def test_check_shows_the_moments_in_an_example_file(tmp_path):
    _story(tmp_path)
    done = touchline(tmp_path, "check", "events.ndjson")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert re.search(r", \d+ rules of moments and 4 promises: no problem found", said)
    assert "│ message_unanswered │ pain │ resolved │ 1 │" in said
    assert "│ recovered │ glory │ open │ 1 │" in said
    assert "│ answer │ kept_late │ 1 │" in said
    assert "2026-01-07 10:00 message_unanswered: customer of line 1 asked on Web (Q1)" in said
    assert "example.com" not in done.stdout


def test_check_gives_the_moments_as_json(tmp_path):
    _story(tmp_path)
    done = touchline(tmp_path, "check", "events.ndjson", "--json")
    report = json.loads(done.stdout)
    assert [(row["rule"], row["cause"], row["closed_at"]) for row in report["moments"]] == [
        ("message_unanswered", "e1", "2026-01-09T10:00:00+00:00"),
        ("recovered", "e3", None),
    ]
    assert report["promised"] == [{"promise": "answer", "status": "kept_late", "promises": 1}]
    assert report["rules"] > 40


def test_check_says_that_a_compressed_file_is_cut(tmp_path):
    (tmp_path / "cut.ndjson.gz").write_bytes(gzip.compress(b"{}\n" * 1_000)[:-12])
    done = touchline(tmp_path, "check", "cut.ndjson.gz")
    assert done.returncode == 2
    assert done.stderr.startswith("cut.ndjson.gz: ")


def test_a_broken_settings_file_is_named_with_its_line(tmp_path):
    (tmp_path / "touchline.toml").write_text("partitions = 3\nkafka = nowhere\n")
    done = touchline(tmp_path, "settings")
    assert done.returncode == 1
    assert "touchline.toml:2: " in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_names_are_whole_on_a_narrow_terminal(tmp_path):
    done = touchline(tmp_path, "settings", COLUMNS="60")
    assert done.returncode == 0, done.stderr
    names = [f"TOUCHLINE_{name.upper()}" for name in Settings.model_fields]
    files = [f"TOUCHLINE_{name.upper()}_FILE" for name in secrets()]
    assert len(files) == 3
    for name in [*names, *files, "TOUCHLINE_CONFIG"]:
        assert name in done.stdout


@pytest.mark.parametrize("name", ["CONFIG", *(f"{name.upper()}_FILE" for name in secrets())])
def test_the_help_of_settings_names_every_other_variable(tmp_path, name):
    assert f"TOUCHLINE_{name}" in touchline(tmp_path, "settings", "--help").stdout
