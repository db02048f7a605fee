"""A disk that is full: nothing is rejected for it, and everything goes on when there is room."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import pytest

from pipeline.simulator import Plan
from tests.faults.harness import log_of, trial

MEGABYTE = 1 << 20


@contextmanager
def small_disk(directory: Path, size: int):
    """Mount a file system in memory of so many bytes, where this user may."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(directory)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """Fill the rest of a disk; returns the file that does."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (MEGABYTE, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_disk_is_waited_for(tmp_path):
    with (
        small_disk(tmp_path / "disk", 400 * MEGABYTE),
        trial(
            tmp_path, 6, "the engine's disk (a small tmpfs) full for 20 s under load, twice",
            "tried again with a warning, nothing rejected; one copy",
            home=tmp_path / "disk" / "home", batch_rows=150, batch_seconds=0.05,
        ) as run,
    ):  # fmt: skip
        run.line.produce(Plan(customers=300, days=30, seed=61))
        worker = run.worker()
        stored = run.until_stored(0, worker)
        for _ in range(2):
            ballast = fill(tmp_path / "disk")
            run.faults += 1
            for _ in range(40):
                worker.check()
                sleep(0.5)
            os.truncate(ballast, 0)
            stored = run.until_stored(stored, worker)
        run.finish(worker)
        assert "ClickHouse cannot do this for now" in log_of(worker)
