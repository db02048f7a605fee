"""The table of the fault tests: ``python -m tests.faults.table RESULTS [--write FILE]``.

Prints it as Markdown; ``--write`` also puts it between the markers of a document. Several tests of
one row stand below each other; what failed is marked, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

from tests.faults.results import Result, read

BEGIN, END = "<!-- results -->\n", "<!-- end of results -->"
_HEAD = (
    "| row | fault | outcome | broker | runs | faults | records | lost | duplicated | wrong | s |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|\n"
)


def markdown(results: Iterable[Result], day: str) -> str:
    """Return the table, with a line that adds it up.

    Args:
        results: In any order; of several of the same test the last counts.
        day: When it was.
    """
    latest = {(each.row, each.fault, each.broker): each for each in results}
    shown = [latest[key] for key in sorted(latest)]
    failed = sum(not each.passed for each in shown)
    rows = "".join(
        f"| {each.row} | {each.fault} | {each.outcome if each.passed else '**FAILED**'} | "
        f"{each.broker} | {each.runs} | {each.faults} | {_number(each.records or None)} | "
        f"{_number(each.lost)} | {_number(each.duplicated)} | {_number(each.wrong)} | "
        f"{each.seconds:.0f} |\n"
        for each in shown
    )
    total = (
        f"{day}: {len(shown)} tests of {len({each.row for each in shown})} rows, "
        f"{sum(each.faults for each in shown):,} faults, "
        f"{sum(each.records for each in shown):,} records: "
        f"{sum(each.lost or 0 for each in shown)} lost, "
        f"{sum(each.duplicated or 0 for each in shown)} duplicated, "
        f"{sum(each.wrong or 0 for each in shown)} wrong; {failed} failed.\n"
    )
    return f"{_HEAD}{rows}\n{total}"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def main() -> int:
    """Write the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--write", type=Path, help="document with the markers")
    options = parser.parse_args()
    results = read(options.results)
    table = markdown(results, datetime.now(timezone.utc).date().isoformat())
    sys.stdout.write(table)
    if options.write is not None:
        text = options.write.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        assert end, f"{options.write} lacks the markers {BEGIN.strip()} and {END}"
        options.write.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    return int(any(not each.passed for each in results))


if __name__ == "__main__":
    sys.exit(main())
