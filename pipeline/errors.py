"""Every error of the project, in one tree, so that callers decide by class and never by message.

TouchlineError
├── RejectedInput         this input will never be accepted: reject it, never retry it
│   ├── RejectedRecord    one Kafka record, with the reason code the reject topic carries
│   └── CatalogError      a catalog, mapping or settings file, with file, line and fix
├── RetryableError        the outside world is not ready: back off and try the same thing again
└── FatalError            going on could lose or corrupt data: stop with a non-zero exit
    ├── SettingsError     what was configured cannot work
    └── SchemaMismatch    the warehouse is not what this version of the program expects
"""

from __future__ import annotations

from dataclasses import dataclass


class TouchlineError(Exception):
    """Base of every error that Touchline raises on purpose."""


class RejectedInput(TouchlineError):
    """Input that can never be accepted as it is."""


class RejectedRecord(RejectedInput):
    """One record that the contract refuses.

    Args:
        reason: A stable code, one of the members of ``pipeline.decode.Reason``.
        error: What is wrong, in words. Never holds a value of the record.
        field: Dotted path of the offending field, or an empty string.
    """

    def __init__(self, reason: str, error: str, field: str = "") -> None:
        super().__init__(f"{reason}: {error}" if not field else f"{reason}: {field}: {error}")
        self.reason = reason
        self.error = error
        self.field = field


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file that a person wrote.

    Attributes:
        path: The file.
        line: 1-based line number, 0 where no line can be named.
        where: Dotted path inside the file, for example ``touchpoints.3.stage``.
        message: What is wrong.
        fix: What to do about it.
    """

    path: str
    line: int
    where: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        """Return ``file:line: where: message (fix: …)``."""
        place = f"{self.path}:{self.line}" if self.line else self.path
        fix = f" (fix: {self.fix})" if self.fix else ""
        return (
            f"{place}: {self.where}: {self.message}{fix}"
            if self.where
            else (f"{place}: {self.message}{fix}")
        )


class CatalogError(RejectedInput):
    """A file written by a person that cannot be used; carries every problem found, not the first.

    Args:
        problems: One or more problems, in file order.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class RetryableError(TouchlineError):
    """The outside world refused for now; the same action may succeed later.

    Args:
        message: What happened, in words.
        cause: The same for metrics and alarms: one of few names, such as ``disk_full``.
    """

    def __init__(self, message: str, cause: str = "other") -> None:
        super().__init__(message)
        self.cause = cause


class FatalError(TouchlineError):
    """Going on could lose or corrupt data; the process must stop with a non-zero exit code."""


class SettingsError(FatalError):
    """Settings that cannot work; the message names the setting and the fix."""


class SchemaMismatch(FatalError):
    """The warehouse does not have the tables this version of the program writes to."""
