"""Start the embedded stack, find a running one, and connect a command to whichever applies.

The parts run in a process of their own (see ``supervisor``): the engine allows one process per
data directory, while worker, queries and a demo need it at the same time.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import pipeline
from pipeline.embedded.home import Endpoints, Home
from pipeline.errors import FatalError
from pipeline.settings import Settings

__all__ = ["Connections", "Endpoints", "Stack", "embedded", "endpoints", "running"]

START_SECONDS = 60.0
STOP_SECONDS = 30.0

_TERMINATE_SECONDS = 10.0
_LOG_TAIL_BYTES = 2_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Connections:
    """What a command connects to.

    Attributes:
        settings: The settings with every address, password and the pepper filled in. Their
            ``embedded_kafka`` and ``embedded_clickhouse`` still tell what was configured.
        embedded_kafka: Whether ``settings.kafka`` is the embedded broker.
        embedded_clickhouse: Whether ``settings.clickhouse`` is the embedded engine.
        started: Whether a stack was started for this command and ends with it.
    """

    settings: Settings
    embedded_kafka: bool
    embedded_clickhouse: bool
    started: bool = False


class Stack:
    """A stack that this process started and stops; also a context manager.

    Start it with ``Stack.start``. It ends with this process at the latest, even by SIGKILL.

    Attributes:
        endpoints: How to reach it.
    """

    def __init__(self, process: subprocess.Popen[bytes], endpoints: Endpoints) -> None:
        self._process = process
        self._owner = os.getpid()
        self.endpoints = endpoints
        atexit.register(self.stop)

    @classmethod
    def start(
        cls,
        settings: Settings,
        *,
        broker: bool = True,
        engine: bool = True,
        lasting: bool = False,
        kafka_port: int = 0,
        clickhouse_port: int = 0,
        timeout: float = START_SECONDS,
    ) -> Stack:
        """Start a stack in ``settings.home`` and wait until its parts answer.

        Args:
            settings: Names the home directory; nothing else of them is used.
            broker: Whether to run the Kafka broker.
            engine: Whether to run the ClickHouse engine.
            lasting: Whether other commands may send through its broker.
            kafka_port: Port of the broker on the loopback interface; 0 takes a free one.
            clickhouse_port: Port of the engine on the loopback interface; 0 takes a free one.
            timeout: Seconds to wait at most.

        Raises:
            FatalError: Another stack holds the home, or a part did not start; says which and why.
        """
        home = Home.at(settings.home)
        home.create()
        options = ["--kafka-port", str(kafka_port), "--clickhouse-port", str(clickhouse_port)]
        options += ["--broker"] * broker + ["--engine"] * engine + ["--lasting"] * lasting
        process = _spawn(home, options)
        try:
            _wait_until_ready(process, home, timeout)
            found = home.read_run()
            if found is None:
                raise FatalError(f"the embedded stack ended at once; see {home.stack_log}")
            return cls(process, found)
        except BaseException:
            _end(process, patience=1.0)
            raise

    @property
    def alive(self) -> bool:
        """Whether the stack still runs; it ends by itself when its broker dies."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Stop the stack and wait for it. Calling it again does nothing, nor does a fork's call."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.stop)
        _end(self._process, patience=STOP_SECONDS)

    def __enter__(self) -> Stack:
        """Return the running stack."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the stack."""
        self.stop()


@contextmanager
def embedded(settings: Settings, *, broker: bool = True, engine: bool = True) -> Iterator[Stack]:
    """Run a stack for the duration of a block.

    Raises:
        FatalError: As ``Stack.start``.
    """
    with Stack.start(settings, broker=broker, engine=engine) as stack:
        yield stack


def running(home: Path) -> Endpoints | None:
    """Return how to reach the stack that runs in a home directory, or None when none is ready.

    Raises:
        FatalError: There is one, but its files cannot be read.
    """
    return Home.at(home).read_run()


@contextmanager
def endpoints(settings: Settings, *, kafka: bool, clickhouse: bool) -> Iterator[Connections]:
    """Give a command what it connects to, starting what is missing for the block's duration.

    What the settings configure is used as it is. The rest comes from the stack that runs in
    ``settings.home``; when none runs, one with just the parts needed is started and stopped.

    Args:
        settings: As loaded.
        kafka: Whether the command needs Kafka.
        clickhouse: Whether the command needs ClickHouse.

    Raises:
        FatalError: The running stack lacks a part that is needed, or none can be started.
    """
    broker = kafka and settings.embedded_kafka
    engine = clickhouse and settings.embedded_clickhouse
    if not (broker or engine):
        yield Connections(settings, embedded_kafka=False, embedded_clickhouse=False)
        return
    found = running(settings.home)
    if found is None:
        with Stack.start(settings, broker=broker, engine=engine) as stack:
            connected = _connected(settings, stack.endpoints, broker=broker, engine=engine)
            yield replace(connected, started=True)
        return
    if broker and not found.lasting:
        raise FatalError(
            f"the embedded stack in {settings.home} belongs to another command (process "
            f"{found.pid}) and ends with it (fix: wait for that, or keep one running with "
            "`touchline up`)"
        )
    lacking = ["broker"] * (broker and found.kafka is None)
    lacking += ["engine"] * (engine and found.clickhouse is None)
    if lacking:
        raise FatalError(
            f"the embedded stack in {settings.home} (process {found.pid}) runs without its "
            f"{' and '.join(lacking)} (fix: stop it, then start it with every part)"
        )
    yield _connected(settings, found, broker=broker, engine=engine)


def _connected(settings: Settings, found: Endpoints, *, broker: bool, engine: bool) -> Connections:
    """Return the settings with what a stack provides filled in."""
    update: dict[str, Any] = {}
    if settings.pepper is None:
        update["pepper"] = found.pepper
    if broker:
        # the embedded broker keeps a joining worker waiting for half its session timeout
        update |= {"kafka": found.kafka, "kafka_security": "PLAINTEXT", "session_timeout": 6.0}
    if engine:
        update["clickhouse"] = f"{found.clickhouse}/{settings.database}"
        update["clickhouse_password"] = found.clickhouse_password
    # Both properties are cached by reading them here; the copy takes what is cached along, and so
    # goes on telling what was configured.
    log.debug("embedded: %s, %s", settings.embedded_kafka, settings.embedded_clickhouse)
    copy = settings.model_copy(update=update)
    return Connections(copy, embedded_kafka=broker, embedded_clickhouse=engine)


def _spawn(home: Home, options: list[str]) -> subprocess.Popen[bytes]:
    """Start the supervisor in a session of its own: a terminal's Ctrl-C is for its parent."""
    # It finds this package wherever it is installed, and nothing in the user's directory.
    packages = str(Path(pipeline.__file__).resolve().parent.parent)
    paths = [packages, os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "pipeline.embedded.supervisor", str(home.root), *options]
    with _private_log(home.stack_log) as stderr:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=home.root,
            env=environment,
            start_new_session=True,
        )


def _private_log(path: Path) -> IO[bytes]:
    """Open a log file to append to, readable by its owner only."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _wait_until_ready(process: subprocess.Popen[bytes], home: Home, timeout: float) -> None:
    """Read the supervisor's one line.

    Raises:
        FatalError: It said why it failed, ended without a word, or said nothing in time.
    """
    line = _first_line(cast(IO[bytes], process.stdout), time.monotonic() + timeout)
    if line is None:
        raise FatalError(f"the embedded stack was not ready after {timeout:.0f} s")
    try:
        message = json.loads(line)
    except ValueError:
        tail = home.stack_log.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace")
        raise FatalError(f"the embedded stack did not start: {tail.strip()}") from None
    if "error" in message:
        raise FatalError(message["error"])


def _first_line(stream: IO[bytes], deadline: float) -> bytes | None:
    """Return what a pipe says up to its first line break or its end; None when time is up."""
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while b"\n" not in said:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            piece = os.read(stream.fileno(), 65_536)
            if not piece:
                break
            said += piece
    return said


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    """End a supervisor: by the end of its input, then by SIGTERM, then by SIGKILL."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    for seconds, act in ((patience, process.terminate), (_TERMINATE_SECONDS, process.kill)):
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            log.warning("the embedded stack (process %d) does not end", process.pid)
            act()
    process.wait()
