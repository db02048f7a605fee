"""What a process keeps beside ClickHouse, damaged, lost or held by another: never silent zero."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from pipeline.embedded.stack import Stack
from pipeline.errors import FatalError
from pipeline.settings import Settings
from pipeline.simulator import Plan
from tests.faults.harness import trial
from tests.faults.results import noted
from tests.integration.command import touchline

pytestmark = pytest.mark.timeout(600)


def test_a_second_process_on_the_same_data_is_refused(tmp_path):
    outcome = "exit 1, naming the process that has it"
    with noted(20, "second `touchline up` on the same home", outcome) as result:
        home = tmp_path / ".touchline"
        with Stack.start(Settings(home=home), lasting=True) as stack:
            done = touchline(tmp_path, "up")
            assert done.returncode == 1
            assert f"already held by process {stack.endpoints.pid}" in done.stderr.decode()
            assert stack.alive
        result.faults = 1


@pytest.mark.slow
def test_damaged_files_of_the_home_are_named(tmp_path):
    outcome = "each refused, naming the file; data untouched"
    with noted(17, "run file, pepper and data directory of the home damaged", outcome) as result:
        settings = Settings(home=tmp_path / "home")
        with Stack.start(settings, broker=False):
            run_file = settings.home / "run.json"
            whole = run_file.read_text()
            run_file.write_text(whole[: len(whole) // 2])
            assert "run.json" in refused(tmp_path)
            run_file.write_text(json.dumps({**json.loads(whole), "pid": "x"}))
            assert "run.json" in refused(tmp_path)
        pepper = settings.home / "pepper"
        secret = pepper.read_text()
        for damaged in ("", secret[:10], "\x00" * 64 + "zz"):
            pepper.write_text(damaged)
            with pytest.raises(FatalError, match="pepper is damaged"):
                Stack.start(settings, broker=False)
        pepper.write_text(secret)
        data = settings.home / "clickhouse"
        shutil.move(data, tmp_path / "kept")
        data.write_text("not a directory")
        with pytest.raises(FatalError, match="cannot open the embedded engine"):
            Stack.start(settings, broker=False)
        data.unlink()
        shutil.move(tmp_path / "kept", data)
        with Stack.start(settings, broker=False) as stack:
            assert stack.alive
        result.faults = 6


def refused(directory):
    """Return what a worker says that cannot use its home."""
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", "worker"],
        capture_output=True, text=True, cwd=directory, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "TOUCHLINE_HOME": "home"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.slow
def test_state_that_is_lost_is_made_anew(tmp_path):
    with trial(
        tmp_path, 17, "progress of detection deleted, then moments and promises, then journeys, "
        "group's offsets forgotten", "made anew from what is stored and read again",
    ) as run:  # fmt: skip
        run.line.produce(Plan(customers=120, days=30, seed=171))
        run.line.drain(worker := run.worker())
        worker.stop()
        run.line.client.command("TRUNCATE TABLE detection_progress")
        worker = run.worker()
        run.until_said(
            "touchline backtest --apply", worker
        )  # read on from where it was: not silent
        worker.stop()
        lost = [
            ["detection_progress"],
            ["detection_progress", "moment_records", "promise_records"],
            ["step_records", "journey_records", "customer_refreshes"],
        ]
        for number, tables in enumerate(lost):
            for table in tables:
                run.line.client.command(f"TRUNCATE TABLE {table}")
                run.faults += 1
            # with its offsets a worker's group forgets what it had read: it reads it all again
            run.line.settings = run.line.settings.model_copy(
                update={"kafka_group": f"touchline-{number}"}
            )
            run.line.drain(worker := run.worker())
            worker.stop()
        run.finish()
