"""The home directory of the embedded stack: where things are, who holds it, how to reach it.

- ``lock``: locked by the supervisor and holding its pid while it runs
- ``run.json``: how to connect, password included; there only while a stack is ready
- ``pepper``: secret key of the identifier hashes, made once and never changed
- ``clickhouse``: data of the engine
- ``tmp``: data of inserts on its way into the engine
- ``broker.log``, ``stack.log``: what the broker and the supervisor have to say
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from pipeline.errors import FatalError

# The engine expands these in file names, even in the directories above a relative one: an INSERT
# from a file below such a directory reads no file, writes no row and reports success.
UNSAFE_IN_PATHS = "*?{}"

_LOCK_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Endpoints:
    """How to reach a running stack.

    Attributes:
        kafka: Bootstrap server ``host:port``; None when the stack has no broker.
        clickhouse: DSN without password and database; None when the stack has no engine.
        clickhouse_password: Password of this run of the engine; None without an engine.
        pepper: Secret key of the identifier hashes.
        pid: Process that runs the stack.
        lasting: Whether it is there for other commands (``touchline up``), or belongs to one
            command that stops it when it is done.
    """

    kafka: str | None
    clickhouse: str | None
    clickhouse_password: SecretStr | None
    pepper: SecretStr
    pid: int
    lasting: bool = False


@dataclass(frozen=True)
class Home:
    """Paths below one home directory, and the files the supervisor keeps there.

    Attributes:
        root: The directory, absolute, symbolic links resolved.
    """

    root: Path

    @classmethod
    def at(cls, path: Path) -> Home:
        """Return the home at a path, which need not exist yet.

        Raises:
            FatalError: The path has a character that the engine would read as a pattern.
        """
        root = path.expanduser().resolve()
        unsafe = sorted({char for char in str(root) if char in UNSAFE_IN_PATHS})
        if unsafe:
            raise FatalError(
                f"the embedded stack cannot live in {root}: the engine reads "
                f"{' '.join(unsafe)} as patterns (fix: set TOUCHLINE_HOME to another directory)"
            )
        return cls(root)

    @property
    def lock(self) -> Path:
        """Lock file of the supervisor."""
        return self.root / "lock"

    @property
    def run_file(self) -> Path:
        """Connection data of the running stack."""
        return self.root / "run.json"

    @property
    def pepper_file(self) -> Path:
        """Secret key of the identifier hashes, in hexadecimal."""
        return self.root / "pepper"

    @property
    def data(self) -> Path:
        """Data directory of the engine."""
        return self.root / "clickhouse"

    @property
    def temp(self) -> Path:
        """Directory of insert bodies."""
        return self.root / "tmp"

    @property
    def broker_log(self) -> Path:
        """Log of the broker, of its last start only."""
        return self.root / "broker.log"

    @property
    def stack_log(self) -> Path:
        """Log of the supervisor."""
        return self.root / "stack.log"

    def create(self) -> None:
        """Create the directory, readable by its owner only.

        Raises:
            FatalError: It cannot be created or written.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise FatalError(f"cannot create {self.root}: {error.strerror}") from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise FatalError(f"cannot write to {self.root} (fix: TOUCHLINE_HOME, or its owner)")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for this process; the system frees it however the process ends.

        Raises:
            FatalError: Another process holds it; names the process.
        """
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._acquire(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            try:
                yield
            finally:
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def _acquire(self, descriptor: int) -> None:
        """Take the lock, waiting only for a process that merely looks whether it is taken."""
        deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                holder = self.holder()
                if holder is not None or time.monotonic() > deadline:
                    who = f"process {holder}" if holder is not None else "another process"
                    raise FatalError(
                        f"the embedded stack in {self.root} is already held by {who} "
                        "(fix: use the running one, or stop it, or set TOUCHLINE_HOME)"
                    ) from None
                time.sleep(0.02)

    def holder(self) -> int | None:
        """Return the pid of the living process that took the lock, or None."""
        try:
            text = self.lock.read_text(encoding="ascii")
        except OSError:
            return None
        return int(text) if text.isdigit() and _alive(int(text)) else None

    def is_locked(self) -> bool:
        """Return whether some process holds the lock."""
        try:
            descriptor = os.open(self.lock, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def make_pepper(self) -> None:
        """Make the pepper unless there is one. Call with the lock held."""
        if not self.pepper_file.exists():
            _write_private(self.pepper_file, secrets.token_hex(32) + "\n")

    def read_pepper(self) -> SecretStr:
        """Return the pepper.

        Raises:
            FatalError: It is missing or damaged; a new one would change every stored hash.
        """
        text = self.pepper_file.read_text(encoding="ascii", errors="replace").strip()
        if len(text) != 64:
            raise FatalError(
                f"{self.pepper_file} is damaged (fix: restore it from a backup; without it the "
                "stored identifier hashes match nothing, so otherwise remove the whole directory)"
            )
        return SecretStr(text)

    def clear_temp(self) -> None:
        """Remove what a killed supervisor left in the temporary directory. Needs the lock."""
        self.temp.mkdir(mode=0o700, exist_ok=True)
        for leftover in self.temp.iterdir():
            leftover.unlink()

    def write_run(self, endpoints: Endpoints, started_at: str) -> None:
        """Publish how to connect, readable by the owner only."""
        password = endpoints.clickhouse_password
        run = {
            "pid": endpoints.pid,
            "kafka": endpoints.kafka,
            "clickhouse": endpoints.clickhouse,
            "clickhouse_password": password.get_secret_value() if password else None,
            "lasting": endpoints.lasting,
            "started_at": started_at,
        }
        _write_private(self.run_file, json.dumps(run, indent=2) + "\n")

    def remove_run(self) -> None:
        """Withdraw the run file."""
        self.run_file.unlink(missing_ok=True)

    def read_run(self) -> Endpoints | None:
        """Return the endpoints of the stack that runs here, or None when none is ready.

        Raises:
            FatalError: The run file or the pepper is there but cannot be used.
        """
        try:
            run = json.loads(self.run_file.read_text(encoding="utf-8"))
            pid, password = int(run["pid"]), run["clickhouse_password"]
            # The pid in the lock file tells a fresh run file from one that a killed run left.
            if self.holder() != pid or not self.is_locked():
                return None
            return Endpoints(
                kafka=run["kafka"],
                clickhouse=run["clickhouse"],
                clickhouse_password=SecretStr(password) if password else None,
                pepper=self.read_pepper(),
                pid=pid,
                lasting=bool(run["lasting"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FatalError(f"cannot use {self.run_file}: {error}") from error


def _alive(pid: int) -> bool:
    """Return whether a process exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write_private(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all, mode 0600, and survives a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
