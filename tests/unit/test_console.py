"""What may happen to standard output, and that none of it ends in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = """
from jobs.console import careful_output
from jobs.cli import app
with careful_output():
    app(prog_name="touchline")
"""
#: More than a pipe holds, in each of the ways in which we write.
LONG = {
    "console": "from jobs.console import out\nfor n in range(9_999): out.print('x' * 99)",
    "document": "from jobs.console import write_document\nwrite_document(b'x' * 999_999)",
    "buffered": "import sys\nfor n in range(9_999): sys.stdout.buffer.write(b'x' * 99)",
}


def careful(code: str, encoding: str = "utf-8") -> subprocess.Popen[bytes]:
    """Start Python code whose output is guarded."""
    return started(
        "from jobs.console import careful_output\nwith careful_output():\n"
        + "".join(f"    {line}\n" for line in code.splitlines()),
        encoding=encoding,
    )


def started(
    code: str, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE, encoding: str = "utf-8"
) -> subprocess.Popen[bytes]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TOUCHLINE_")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**kept, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("code", LONG.values(), ids=LONG)
def test_a_reader_that_goes_away_ends_it_quietly(code: str) -> None:
    with careful(code) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"x"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["query", "--help"], ["query", "--list"], ["query", "--list", "--json"],
     ["schema", "interaction"], ["--version"], ["simulate", "--customers", "20", "--out", "-"]],
    ids=" ".join,
)  # fmt: skip
def test_no_command_fails_without_words(arguments: list[str], tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed, open("/dev/full", "wb") as full:
        for stdout, code in ((closed, 141), (full, 1)):
            with started(COMMAND, *arguments, stdout=stdout) as process:
                _, said = process.communicate(timeout=30)
                assert process.returncode == code
                told = b"touchline: standard output: No space left on device\n"
                assert said == (told if code == 1 else b"")


def test_what_was_started_is_stopped() -> None:
    code = LONG["buffered"].replace("for", "try:\n for")
    code += "\nfinally: sys.stderr.write('stopped')"
    with careful(code) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b"stopped"
        assert process.wait(30) == 141


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "###+ 5 . - caf?\n"),
        ("latin-1", "###+ 5 · - café\n"),
        ("utf-8", "███▌ 5 · – café\n"),
    ],
)
def test_a_terminal_of_few_characters_gets_others(encoding: str, shown: str) -> None:
    code = "from jobs.console import out\nout.print('███▌ 5 · – café')"
    with careful(code, encoding=encoding) as process:
        written, said = process.communicate(timeout=30)
    assert (written.decode(encoding), said, process.returncode) == (shown, b"", 0)


def test_a_name_that_is_not_utf_8_is_shown_as_far_as_it_goes() -> None:
    code = "from jobs.console import out\nout.print('a\\udcffb')"
    with careful(code, encoding="utf-8") as process:
        written, said = process.communicate(timeout=30)
    assert (written, said, process.returncode) == (b"a?b\n", b"", 0)


def test_closed_standard_output_is_none() -> None:
    code = "import os, sys\nos.close(1)\nos.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    with started(code, "-c", COMMAND, "--version") as process:
        written, said = process.communicate(timeout=30)
    assert (written, said, process.returncode) == (b"", b"", 0)


@pytest.mark.parametrize("contract", ["interaction", "catalog", "mapping", "moment"])
def test_schemas_are_printed_as_they_are_checked_in(contract: str) -> None:
    with started(COMMAND, "schema", contract, encoding="ascii") as process:
        written, _ = process.communicate(timeout=30)
    assert written == (ROOT / "schemas" / "json" / f"{contract}.json").read_bytes()
