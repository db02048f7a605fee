"""What came of the fault tests, one line of JSON each, for the table."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

#: Names the file that results are added to; none are kept without it.
VARIABLE = "FAULT_RESULTS"


@dataclass
class Result:
    """One line of the table.

    Attributes:
        row: Row of the fault matrix.
        fault: What was done.
        outcome: What came of it, in words.
        broker: The Kafka broker: embedded or Apache Kafka.
        runs: How often the whole was done.
        faults: Faults injected in all.
        records: Records produced in all.
        lost: Records of which nothing was found; None where no records were counted.
        duplicated: Events, steps or moments that a view shows twice.
        wrong: Rows that differ from what they should be: classification, journeys, moments,
            promises, rejections.
        seconds: How long it took.
        passed: Whether it went as expected.
    """

    row: int
    fault: str
    outcome: str = ""
    broker: str = "embedded"
    runs: int = 1
    faults: int = 0
    records: int = 0
    lost: int | None = None
    duplicated: int | None = None
    wrong: int | None = None
    seconds: float = 0.0
    passed: bool = False


@contextmanager
def noted(row: int, fault: str, outcome: str) -> Iterator[Result]:
    """Note what comes of a block, also where it fails."""
    result, began = Result(row, fault, outcome), monotonic()
    try:
        yield result
        result.passed = True
    finally:
        result.seconds = round(monotonic() - began, 1)
        if file := os.environ.get(VARIABLE):
            path = Path(file)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as out:
                out.write(json.dumps(asdict(result)) + "\n")


def read(path: Path) -> list[Result]:
    """Return the results of a file."""
    return [Result(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
