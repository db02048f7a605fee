"""Several blocking calls at once, and leaving in time."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from pipeline.threads import together


def test_calls_run_at_once_and_answer_in_order() -> None:
    both = threading.Barrier(2, timeout=10)

    def first() -> str:
        both.wait()  # nobody passes alone
        return "first"

    def second() -> str:
        both.wait()
        return "second"

    assert together(first, second) == ["first", "second"]


def test_an_error_is_raised_once_all_have_ended() -> None:
    ended = threading.Event()

    def fail() -> None:
        raise ValueError("refused")

    def other() -> None:
        ended.set()

    with pytest.raises(ValueError, match="refused"):
        together(other, fail)
    assert ended.is_set()
    with pytest.raises(ValueError, match="refused"):
        together(fail, fail)


def test_a_process_that_does_not_end_by_itself_leaves_with_its_code() -> None:
    stuck = (
        "from pipeline.threads import leave_after; import threading; "
        "leave_after(0.1, lambda: 7); threading.Event().wait()"
    )
    assert subprocess.run([sys.executable, "-c", stuck], timeout=60, check=False).returncode == 7
