"""``touchline check``: is this catalog right, and what does it make of these interactions?"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from jobs.console import err, out
from pipeline import catalog
from pipeline.classify import Classifier, Moment, stage_of
from pipeline.decode import decode, known_channels
from pipeline.errors import CatalogError, Problem, RejectedInput, RejectedRecord
from pipeline.identify import identifiers_of
from pipeline.producers.lines import Lines, opened
from pipeline.settings import load as load_settings
from schemas.catalog import UNCLASSIFIED

#: Lines of each kind that are shown to a person.
_SHOWN = 10


@dataclass
class Report:
    """What came of the lines of an example file."""

    lines: int = 0
    matched: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unmatched: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: list[dict[str, Any]] = field(default_factory=list)


def check(
    examples: Annotated[
        Path | None,
        typer.Argument(help="NDJSON file of interactions (.gz too, - for standard input)."),
    ] = None,
    catalog_file: Annotated[
        Path | None, typer.Option("--catalog", help="Catalog TOML; the default one when not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Validate a catalog and show what it makes of example interactions.

    Ends with 0 when the catalog is right and every line is a valid interaction, with 1 when lines
    are invalid, with 2 when the catalog cannot be used. A line no rule matches is valid.
    """
    if examples is not None and examples.suffix == ".toml":
        problem = Problem(
            str(examples),
            0,
            "",
            "not a file of interactions",
            f"did you mean --catalog {examples}?",
        )
        raise CatalogError([problem])
    settings = load_settings(catalog=catalog_file)
    loaded = catalog.load(settings.catalog)
    try:
        report = Report() if examples is None else _classify(examples, loaded, settings)
    except RejectedInput as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    if as_json:
        out.print_json(json.dumps(_as_json(loaded, report)))
    else:
        _print(loaded, report, with_examples=examples is not None)
    raise typer.Exit(1 if report.rejected else 0)


def _classify(path: Path, loaded: catalog.LoadedCatalog, settings: Any) -> Report:
    report = Report()
    classifier = Classifier(loaded.catalog)
    channels = known_channels(loaded.channels)
    events = []
    with opened(path) as source:
        for line in Lines(source, settings.max_record_bytes):
            if not line.value.strip():
                continue
            report.lines += 1
            try:
                decoded = decode(line.value, channels, settings.max_record_bytes)
            except RejectedRecord as error:
                cause = {"reason": error.reason, "field": error.field, "error": error.error}
                report.rejected.append({"line": line.number, **cause})
                continue
            interaction = decoded.interaction
            customer = next(iter(identifiers_of(interaction.identifiers).items()))
            moment = (interaction.occurred_at, interaction.event_id)
            events.append((customer, moment, interaction, classifier.classify(decoded.event)))
    history: dict[tuple[str, str], dict[str, list[Moment]]] = {}
    for customer, moment, _, found in events:
        for fact in found.facts:
            history.setdefault(customer, {}).setdefault(fact, []).append(moment)
    for customer, moment, interaction, found in events:
        if found.touchpoint == UNCLASSIFIED:
            report.unmatched[interaction.channel, interaction.action] += 1
        else:
            stage = stage_of(found, moment, history.get(customer, {}))
            report.matched[found.touchpoint, interaction.channel, stage] += 1
    return report


def _as_json(loaded: catalog.LoadedCatalog, report: Report) -> dict[str, Any]:
    return {
        "catalog": loaded.path,
        "version": loaded.version,
        "touchpoints": len(loaded.catalog.touchpoints),
        "lines": report.lines,
        "matched": [
            {"touchpoint": touchpoint, "channel": channel, "stage": stage, "lines": count}
            for (touchpoint, channel, stage), count in report.matched.most_common()
        ],
        "unclassified": [
            {"channel": channel, "action": action, "lines": count}
            for (channel, action), count in report.unmatched.most_common()
        ],
        "rejected": report.rejected,
    }


def _print(loaded: catalog.LoadedCatalog, report: Report, with_examples: bool) -> None:
    catalog_ = loaded.catalog
    rules = sum(len(entry.match) for entry in catalog_.touchpoints)
    out.print(
        f"{loaded.path}: version {loaded.version}, "
        f"{_counted(len(catalog_.touchpoints), 'touchpoint')} with {_counted(rules, 'rule')} on "
        f"{_counted(len(catalog_.channels), 'channel')}: no problem found",
        markup=False,
    )
    if not with_examples:
        return
    table = Table("touchpoint", "channel", "stage", title="Matched")
    table.add_column("lines", justify="right")
    for (touchpoint, channel, stage), count in report.matched.most_common():
        table.add_row(touchpoint, channel, stage, f"{count:,}")
    out.print(table)
    if report.unmatched:
        table = Table("channel", "action", title="No rule matches")
        table.add_column("lines", justify="right")
        for (channel, action), count in report.unmatched.most_common():
            table.add_row(channel, action, f"{count:,}")
        out.print(table)
    for item in report.rejected[:_SHOWN]:
        place = f"line {item['line']}"
        name = f" {item['field']}:" if item["field"] else ""
        err.print(f"{place}:{name} {item['error']} ({item['reason']})", style="red", markup=False)
    if len(report.rejected) > _SHOWN:
        err.print(f"… and {_counted(len(report.rejected) - _SHOWN, 'more invalid line')}")
    matched, unmatched = report.matched.total(), report.unmatched.total()
    out.print(
        f"{_counted(report.lines, 'line')}: {matched:,} matched, {unmatched:,} unclassified, "
        f"{len(report.rejected):,} invalid"
    )


def _counted(number: int, noun: str) -> str:
    """Return ``1 line`` or ``2 lines``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
