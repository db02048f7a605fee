"""Checks and what they find: one line each, and a fix with everything that is not well.

A check is a function that yields findings. Each has a deadline, and goes on in a thread of its own
when it does not keep it; one that raises is a finding, too. So nothing here hangs and nothing ends
the examination early.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

from pipeline.errors import TouchlineError

_FIX = re.compile(r"(?: \(|(?P<more>; ))fix: (?P<fix>.*)\)", re.DOTALL)


class Level(str, Enum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True)
class Finding:
    """One line of an examination.

    Attributes:
        check: Name of the check.
        level: How bad it is.
        said: What was found.
        fix: The command or setting that mends it; empty where nothing is wrong.
    """

    check: str
    level: Level
    said: str
    fix: str = ""


#: What a check yields: level, what was found, and the fix.
Result = tuple[Level, str, str]


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Attributes:
        name: Its name.
        look: Yields what it finds; nothing at all stands for a check that does not apply.
        needs: Names of the checks without which it makes no sense.
        seconds: Its deadline.
    """

    name: str
    look: Callable[[], Iterable[Result]]
    needs: tuple[str, ...] = ()
    seconds: float = 15.0


def ok(said: str) -> Result:
    """Return a finding that all is well."""
    return Level.OK, said, ""


def warn(said: str, fix: str) -> Result:
    """Return a finding that somebody should look at."""
    return Level.WARN, said, fix


def fail(said: str, fix: str) -> Result:
    """Return a finding that keeps something from working."""
    return Level.FAIL, said, fix


def skip(said: str) -> Result:
    """Return that it could not be looked at, for a reason that is no fault."""
    return Level.SKIP, said, ""


def explained(error: TouchlineError, fix: str = "see the message") -> Result:
    """Return the finding that an error is; its own fix, where it names one."""
    found = _FIX.search(str(error))
    if found is None:
        return fail(str(error), fix)
    close = ")" if found["more"] else ""
    said = (str(error)[: found.start()] + close + str(error)[found.end() :]).strip()
    return fail(said, found["fix"])


def examine(checks: Sequence[Check]) -> Iterator[Finding]:
    """Run checks one after the other.

    A check is left out, and says so, when one that it needs failed, was left out or found nothing
    it could work with.
    """
    unusable: dict[str, str] = {}
    for check in checks:
        missing = next((name for name in check.needs if name in unusable), None)
        if missing is not None:
            unusable[check.name] = unusable[missing]
            yield Finding(check.name, Level.SKIP, f"not looked at: {unusable[missing]}")
            continue
        found = [Finding(check.name, *result) for result in _within(check)]
        worst = {finding.level for finding in found}
        if Level.FAIL in worst:
            unusable[check.name] = f"{check.name} failed"
        elif found and worst == {Level.SKIP}:
            unusable[check.name] = found[0].said
        yield from found


def _within(check: Check) -> list[Result]:
    """Run a check; what it found until its deadline, and that it missed it."""
    said: SimpleQueue[Result | None] = SimpleQueue()

    def look() -> None:
        try:
            for result in check.look():
                said.put(result)
        except TouchlineError as error:
            said.put(explained(error))
        except Exception as error:  # noqa: BLE001  # a finding, whatever it is
            said.put(
                fail(
                    f"the check itself failed: {type(error).__name__}: {error}",
                    "run `touchline --verbose doctor` and report what it says",
                )
            )
        said.put(None)

    # a daemon, for what does not come back must not keep the process
    Thread(target=look, name=f"doctor-{check.name}", daemon=True).start()
    return list(_until_deadline(check, said))


def _until_deadline(check: Check, said: SimpleQueue[Result | None]) -> Iterator[Result]:
    deadline = monotonic() + check.seconds
    while True:
        try:
            result = said.get(timeout=max(deadline - monotonic(), 0.001))
        except Empty:
            yield fail(
                f"no answer within {check.seconds:g} s",
                "look at the load of the server and at the network, then try again",
            )
            return
        if result is None:
            return
        yield result
