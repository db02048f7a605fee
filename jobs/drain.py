"""Wait until everything produced is stored, with a worker of our own where none runs."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import monotonic, sleep

from clickhouse_connect.driver.client import Client

from pipeline import topics
from pipeline.embedded.broker import die_with_parent
from pipeline.errors import FatalError, RetryableError
from pipeline.settings import Settings, environment
from pipeline.warehouse.refresh import Journeys

log = logging.getLogger(__name__)

#: Seconds without any progress after which waiting is given up.
PATIENCE = 120.0
#: Seconds between refreshes of the journeys by a worker that somebody waits for.
EVERY = 0.5
_POLL_SECONDS = 0.25
#: Partitions with events whose watermark is more than a minute behind an instant.
_BEHIND = """
SELECT countIf(watermark < {until:DateTime64(6)} - INTERVAL 61 SECOND)
FROM (SELECT max(watermark) AS watermark FROM detection_progress FINAL GROUP BY partition)
WHERE watermark > 0
"""
_STOP_SECONDS = 30.0


class WorkerProcess:
    """A ``touchline worker`` (or ``alerter``) in a process of its own.

    Args:
        process: The process.
        log_file: Where it writes its log.
    """

    def __init__(self, process: subprocess.Popen[bytes], log_file: Path) -> None:
        self.process = process
        self.log_file = log_file

    def check(self) -> None:
        """Raise if it ended.

        Raises:
            FatalError: With the last lines of its log.
        """
        code = self.process.poll()
        if code is not None:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
            said = [line for line in lines if " CRITICAL pipeline." in line]
            reason = said[-1].split(" CRITICAL pipeline.")[1] if said else ""
            told = reason or "\n".join(lines[-15:])
            raise FatalError(f"the worker ended with code {code}, log {self.log_file}: {told}")

    def stop(self) -> None:
        """Stop it with SIGTERM and wait; kill it when it does not end in time."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.error("worker %d did not stop within %s s", self.process.pid, _STOP_SECONDS)
            self.process.kill()
            self.process.wait()


def start_worker(settings: Settings, command: str = "worker") -> WorkerProcess:
    """Start a worker process.

    Args:
        settings: With addresses, password and pepper filled in.
        command: What runs: ``worker`` or ``alerter``.
    """
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # no stack may have made it
    log_file = settings.home / f"{command}.log"
    root = Path(__file__).resolve().parent.parent
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TOUCHLINE_")}
    paths = [str(root), *filter(None, [kept.get("PYTHONPATH")])]
    with open(os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "jobs.cli", command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**kept, **environment(settings), "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # a terminal's Ctrl-C is for us; we stop it in order
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    return WorkerProcess(process, log_file)


@contextmanager
def working(settings: Settings, command: str = "worker") -> Iterator[WorkerProcess]:
    """Run a worker or alerter process for the duration of a block."""
    worker = start_worker(settings, command)
    try:
        yield worker
    finally:
        worker.stop()


def wait_until_stored(
    settings: Settings,
    ends: Mapping[topics.TopicPartition, int],
    on_progress: Callable[[int], None],
    worker: WorkerProcess | None = None,
) -> None:
    """Wait until the worker group has committed everything up to the given ends.

    Args:
        settings: With the broker's address filled in.
        ends: For each partition the offset after the last record to wait for.
        on_progress: Called with the number of records that are not committed yet.
        worker: Our own worker process, whose end ends the waiting.

    Raises:
        FatalError: The worker ended, or nothing moved for ``PATIENCE`` seconds.
    """
    last, moved_at = -1, monotonic()
    done: dict[topics.TopicPartition, int] = {}
    while True:
        try:
            done = topics.committed(settings)
        except RetryableError as error:
            log.info("%s", error)  # what was known before still holds
        left = sum(max(end - done.get(place, 0), 0) for place, end in ends.items())
        on_progress(left)
        if left == 0:
            return
        if worker is not None:
            worker.check()
        if left != last:
            last, moved_at = left, monotonic()
        elif monotonic() - moved_at > PATIENCE:
            raise FatalError(
                f"{left} records wait in Kafka and no worker of group {settings.kafka_group!r} "
                "takes them (fix: start `touchline worker`, or look at its log)"
            )
        sleep(_POLL_SECONDS)


def wait_until_refreshed(client: Client, worker: WorkerProcess | None = None) -> None:
    """Wait until what is stored is in the journeys.

    Args:
        client: ClickHouse client.
        worker: Our own worker process, whose end ends the waiting.

    Raises:
        FatalError: The worker ended, or nothing moved for ``PATIENCE`` seconds.
    """
    journeys = Journeys(client)
    last, moved_at = -1, monotonic()
    while left := len(journeys.pending()):
        if worker is not None:
            worker.check()
        if left != last:
            last, moved_at = left, monotonic()
        elif monotonic() - moved_at > PATIENCE:
            raise FatalError(
                f"{left} batches are not in the journeys yet and no worker takes them up (fix: "
                "start `touchline worker`, or look at its log)"
            )
        sleep(_POLL_SECONDS)


def wait_until_closed(client: Client, settings: Settings, worker: WorkerProcess) -> None:
    """Wait until the wall clock has ended every term that was over by now.

    Args:
        client: ClickHouse client.
        settings: With the worker's lateness and a short idle time.
        worker: Our own worker process, whose end ends the waiting.

    Raises:
        FatalError: The worker ended, or it took longer than ``PATIENCE`` seconds.
    """
    until = datetime.now(timezone.utc) - timedelta(seconds=settings.lateness)
    deadline = monotonic() + PATIENCE
    while True:
        behind = client.query(_BEHIND, parameters={"until": until}).result_rows[0][0]
        if not behind:
            return
        worker.check()
        if monotonic() > deadline:
            raise FatalError("the worker does not look at what time has ended (see its log)")
        sleep(_POLL_SECONDS)


def wait_until_told(settings: Settings, alerter: WorkerProcess) -> None:
    """Wait until an alerter has looked at every moment there is.

    Args:
        settings: With the broker's address filled in.
        alerter: Our own alerter process.

    Raises:
        FatalError: It ended, or nothing moved for ``PATIENCE`` seconds.
    """
    ends = topics.ends(settings, [topics.moments(settings)])
    group = settings.model_copy(update={"kafka_group": topics.alerter_group(settings)})
    wait_until_stored(group, ends, lambda left: None, alerter)
