"""The embedded ClickHouse engine: chdb, in this process, one handle per call.

chdb allows one process per data directory, so this module is loaded by the supervisor only; the
rest of the program reaches it over HTTP (see ``front``) like any ClickHouse server.

A handle is a session. Opening one costs about 0.2 ms, so every call gets its own and nothing that
one call SETs can be seen by another.

There is no SQL sandbox: file(), url() and the like work. Only processes that know the password of
this run may send SQL here, and they run as the same user anyway.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import chdb

from pipeline.errors import FatalError, TouchlineError

log = logging.getLogger(__name__)

# ClickHouse's own error numbers (src/Common/ErrorCodes.cpp).
CANNOT_READ_ALL_DATA = 33
NOT_IMPLEMENTED = 48
SYNTAX_ERROR = 62
UNKNOWN_COMPRESSION_METHOD = 89
UNKNOWN_SETTING = 115
ABORTED = 236
NOT_ENOUGH_SPACE = 243
TOO_MANY_BYTES = 307
AUTHENTICATION_FAILED = 516
UNKNOWN_EXCEPTION = 1002

_CODE = re.compile(r"Code: (\d+)\.")
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EngineError(TouchlineError):
    """The engine or its front refused a request.

    Args:
        code: ClickHouse error number.
        message: The text ClickHouse would answer with, beginning with ``Code: ``.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @classmethod
    def of(cls, code: int, name: str, message: str) -> EngineError:
        """Return an error worded like ClickHouse's."""
        return cls(code, f"Code: {code}. DB::Exception: {message}. ({name})")


class _Result(Protocol):
    def bytes(self) -> bytes: ...
    def elapsed(self) -> float: ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...


class _Handle(Protocol):
    def query(
        self, query: bytes | str, format: str, params: Mapping[str, str] | None = None
    ) -> _Result: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Call:
    """One statement with everything it runs under.

    Attributes:
        sql: The statement; may hold bytes that are no UTF-8 inside string literals.
        database: Database for names without one; the engine's default when None.
        settings: Engine settings of this call.
        params: Values of ``{name:Type}`` placeholders, escaped as in TabSeparated.
        default_format: Output format where the statement names none.
    """

    sql: bytes
    database: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    default_format: str = "TabSeparated"


@dataclass(frozen=True)
class Answer:
    """The result of one call.

    Attributes:
        body: The rows in the output format; empty for statements without a result.
        summary: Rows and bytes read and written, nanoseconds spent, as ClickHouse reports them.
    """

    body: bytes
    summary: dict[str, str]


class Engine:
    """An open data directory. Every method may be called from any thread.

    Args:
        path: The data directory; made when missing.

    Raises:
        FatalError: The directory cannot be opened, for example because another process has it.
    """

    def __init__(self, path: Path) -> None:
        self._connect = cast(Callable[[str], _Handle], chdb.connect)
        self._path = str(path)
        try:
            # Kept open: the engine shuts down with its last handle.
            self._anchor = self._connect(self._path)
        except RuntimeError as error:
            raise FatalError(f"cannot open the embedded engine in {path}: {error}") from error
        self.timezone = self.run(Call(b"SELECT timezone()")).body.decode().strip()
        self.version = self.run(Call(b"SELECT version()")).body.decode().strip()

    def run(self, call: Call) -> Answer:
        """Run one call in a session of its own.

        Raises:
            EngineError: The engine refused or failed.
        """
        try:
            with contextlib.closing(self._connect(self._path)) as handle:
                if call.database:
                    handle.query(f"USE {_identifier(call.database)}", "Null")
                if call.settings:
                    handle.query(f"SET {_assignments(call.settings)}", "Null")
                result = handle.query(call.sql, call.default_format, params=call.params)
                return Answer(result.bytes() or b"", _summary(result))
        except (RuntimeError, ValueError) as error:
            raise _translated(error) from None

    def cancel_all(self) -> None:
        """Ask every running query to end; it then fails in its caller with code 394."""
        try:
            self.run(Call(b"KILL QUERY WHERE 1 ASYNC"))
        except EngineError as error:
            log.warning("cannot cancel running queries: code %d", error.code)

    def close(self) -> None:
        """Close the data directory. No call may be running or follow."""
        self._anchor.close()


def _translated(error: Exception) -> EngineError:
    """Return the engine's exception with its error number taken from the text."""
    text = str(error)
    found = _CODE.search(text)
    if found is None:
        return EngineError.of(UNKNOWN_EXCEPTION, "UNKNOWN_EXCEPTION", text or repr(error))
    return EngineError(int(found.group(1)), text[found.start() :].strip())


def _summary(result: _Result) -> dict[str, str]:
    """Return the numbers of a result under the names of X-ClickHouse-Summary."""
    return {
        "read_rows": str(result.rows_read()),
        "read_bytes": str(result.bytes_read()),
        "written_rows": str(result.rows_written()),
        "written_bytes": str(result.bytes_written()),
        "elapsed_ns": str(int(result.elapsed() * 1_000_000_000)),
    }


def _assignments(settings: Mapping[str, str]) -> str:
    """Return ``a = '1', b = '2'``.

    Every value is quoted: the engine turns a string into a number where a setting is one, while a
    bare number would be refused where it is a string.
    """
    for name in settings:
        if not _SETTING_NAME.fullmatch(name):
            raise EngineError.of(UNKNOWN_SETTING, "UNKNOWN_SETTING", f"Unknown setting {name!r}")
    return ", ".join(f"{name} = {_string(value)}" for name, value in settings.items())


def _string(text: str) -> str:
    """Return a text as an SQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
