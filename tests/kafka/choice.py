"""Which broker the tests run against: the embedded one, or with ``--kafka apache`` Apache Kafka.

One Apache Kafka serves a whole run, all of pytest's processes: it takes seconds to start. Tests
stay apart by the names of their topics and of their consumer group, which follow from the
directory that a test works in. A test that stops or kills its broker gets one of its own.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from pipeline.embedded.broker import Broker
from pipeline.settings import Settings
from tests.kafka.server import Apache

#: What stands in a run's choice instead of an address where the embedded broker is tested.
EMBEDDED = ""


@dataclass
class _Run:
    """What was chosen for this run of pytest."""

    address: str = EMBEDDED


_run = _Run()


def choose(address: str) -> None:
    """Let the tests of this process use Apache Kafka at an address, or ``EMBEDDED``."""
    _run.address = address


def is_apache() -> bool:
    """Return whether the tests run against Apache Kafka."""
    return _run.address != EMBEDDED


def names(directory: Path) -> dict[str, Any]:
    """Return the settings that keep what works in a directory apart from everything else."""
    if not is_apache():
        return {}
    own = f"t{crc32(str(directory.resolve()).encode()):08x}"
    return {"topic_prefix": f"{own}.", "kafka_group": own}


def reach(directory: Path) -> dict[str, Any]:
    """Return the settings by which what works in a directory uses the run's broker.

    Nothing with the embedded broker, which is started for each test and found by its home.
    """
    if not is_apache():
        return {}
    # a member that was killed holds its partitions for so long, and tests kill many
    return {"kafka": _run.address, "session_timeout": 6.0, **names(directory)}


@dataclass(frozen=True)
class Reached:
    """A broker that a test uses.

    Attributes:
        address: Bootstrap server.
        names: Settings that keep the test apart from others on the same broker.
        process: The broker, where it is the test's own.
    """

    address: str
    names: dict[str, Any]
    process: subprocess.Popen[bytes] | None = None


@contextmanager
def broker(directory: Path, *, own: bool = False) -> Iterator[Reached]:
    """Give a test a broker of the kind the run is about.

    Args:
        directory: That the test works in.
        own: Whether the test does something to the broker, which must be no other's then.
    """
    if is_apache() and not own:
        yield Reached(_run.address, names(directory))
        return
    started: Apache | Broker
    if is_apache():
        started = Apache.start(directory / "kafka")
    else:
        started = Broker.start(directory / "broker.log")
    try:
        yield Reached(started.address, names(directory), started.process)
    finally:
        if started.alive():
            started.process.send_signal(signal.SIGCONT)
        started.stop()


def given(settings: Settings) -> Settings | None:
    """Return what a command has to be told to use the broker of a line.

    Nothing where it is the embedded one: commands find that by its home, and know what it is.
    """
    return settings if is_apache() else None
