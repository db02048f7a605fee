"""``touchline doctor``: what is well, what is not, and how to mend it."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import typer

from jobs.console import out
from pipeline.doctor.examination import examination
from pipeline.doctor.findings import Finding, Level, explained
from pipeline.errors import SettingsError
from pipeline.settings import load

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red", Level.SKIP: "dim"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look at settings, catalog, Kafka, topics, workers, ClickHouse and its schema.

    Every line that is not ok says how to mend it. Nothing is changed, and every check has a
    deadline; those that depend on one that failed are left out.

    Ends with 0 when nothing failed, warnings or not, and with 1 when something did.
    """
    # what clients say about a server that is down is found, not logged
    for name in ("kafka", "pipeline"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    found = []
    for finding in _findings():
        found.append(finding)
        if not as_json:
            _print(finding)
    levels = Counter(finding.level for finding in found)
    if as_json:
        findings = [
            {"check": each.check, "level": each.level.value, "said": each.said, "fix": each.fix}
            for each in found
        ]
        counts = {level.value: levels[level] for level in Level}
        out.print_json(
            json.dumps({"healthy": not levels[Level.FAIL], **counts, "checks": findings})
        )
    else:
        told = ", ".join(f"{levels[level]} {level.value}" for level in Level if levels[level])
        out.print(told, markup=False)
    if levels[Level.FAIL]:
        raise typer.Exit(1)


def _findings() -> Iterator[Finding]:
    try:
        settings = load()
    except SettingsError as error:
        level, said, fix = explained(error, "correct it, or remove it")
        yield Finding("settings", level, said, fix)
        yield Finding("everything else", Level.SKIP, "not looked at: settings failed")
        return
    yield from examination(settings)


def _print(finding: Finding) -> None:
    style = _STYLES[finding.level]
    out.print(f"{finding.level.value:<5}", style=style, end="")
    out.print(f"{finding.check}: {finding.said}", markup=False, soft_wrap=True)
    if finding.fix:
        out.print(f"     fix: {finding.fix}", markup=False, soft_wrap=True)
