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
from pipeline.classify import Classification, Classifier, Moment, stage_of
from pipeline.decode import Decoded, decode, known_channels
from pipeline.errors import CatalogError, Problem, RejectedInput, RejectedRecord
from pipeline.identify import identifiers_of, normal
from pipeline.moments.hours import microseconds
from pipeline.moments.rules import Rules
from pipeline.moments.statements import Statements
from pipeline.moments.whole import changes_in
from pipeline.producers.lines import Lines, opened
from pipeline.settings import Settings
from pipeline.settings import load as load_settings
from pipeline.warehouse.ledger_rows import MomentRow
from schemas.catalog import UNCLASSIFIED

#: Lines of each kind that are shown to a person.
_SHOWN = 10
#: Who did something, what it was, and what the catalog makes of it.
_Event = tuple[str, Decoded, Classification]


@dataclass
class Report:
    """What came of the lines of an example file."""

    lines: int = 0
    matched: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unmatched: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    moments: list[MomentRow] = field(default_factory=list)
    promises: Counter[tuple[str, str]] = field(default_factory=Counter)


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

    Moments of truth are those known when the last of the interactions happens: what is not due by
    then is not found. Customers are called by the line on which they appear first.

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
        report = Report() if examples is None else _read(examples, loaded, settings)
    except RejectedInput as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    if as_json:
        out.print_json(json.dumps(_as_json(loaded, report)))
    else:
        _print(loaded, report, with_examples=examples is not None)
    raise typer.Exit(1 if report.rejected else 0)


def _read(path: Path, loaded: catalog.LoadedCatalog, settings: Settings) -> Report:
    report = Report()
    classifier = Classifier(loaded.catalog)
    channels = known_channels(loaded.channels)
    events: list[_Event] = []
    customers: dict[tuple[str, str], str] = {}
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
            kind, value = next(iter(identifiers_of(decoded.interaction.identifiers).items()))
            known = (kind, normal(kind, value))
            customer = customers.setdefault(known, f"customer of line {line.number}")
            events.append((customer, decoded, classifier.classify(decoded.event)))
    _count(events, report)
    _find(events, loaded, report)
    return report


def _count(events: list[_Event], report: Report) -> None:
    history: dict[str, dict[str, list[Moment]]] = {}
    for customer, decoded, found in events:
        interaction = decoded.interaction
        for fact in found.facts:
            moment = (interaction.occurred_at, interaction.event_id)
            history.setdefault(customer, {}).setdefault(fact, []).append(moment)
    for customer, decoded, found in events:
        interaction = decoded.interaction
        if found.touchpoint == UNCLASSIFIED:
            report.unmatched[interaction.channel, interaction.action] += 1
        else:
            moment = (interaction.occurred_at, interaction.event_id)
            stage = stage_of(found, moment, history.get(customer, {}))
            report.matched[found.touchpoint, interaction.channel, stage] += 1


def _find(events: list[_Event], loaded: catalog.LoadedCatalog, report: Report) -> None:
    """Find the moments and promises as they stand when the last interaction happens."""
    if not events:
        return
    rules = Rules(loaded)
    statements = Statements(rules)
    now = max(decoded.interaction.occurred_at for _, decoded, _ in events)
    sightings = (
        rules.matcher.sighting(decoded.event, decoded.interaction, customer, found)
        for customer, decoded, found in events
    )
    watermark = microseconds(now)
    for change in changes_in(rules, filter(None, sightings), now):
        if change.place is None:
            promise = statements.promise(change, 0, watermark, now)
            report.promises[promise.promise, promise.status] += 1
        else:
            report.moments.append(statements.moment(change, 0, watermark, now))
    report.moments.sort(key=lambda row: (row.occurred_at, row.rule, row.cause))


def _as_json(loaded: catalog.LoadedCatalog, report: Report) -> dict[str, Any]:
    return {
        "catalog": loaded.path,
        "version": loaded.version,
        "touchpoints": len(loaded.catalog.touchpoints),
        "rules": len(loaded.catalog.rules),
        "promises": len(loaded.catalog.promises),
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
        "moments": [
            {
                "rule": row.rule,
                "kind": row.kind,
                "status": row.status,
                "severity": row.severity,
                "owner": row.owner,
                "subject": row.subject,
                "cause": row.cause,
                "evidence": row.evidence,
                "occurred_at": row.occurred_at.isoformat(),
                "closed_at": None if row.closed_at is None else row.closed_at.isoformat(),
                "text": row.text,
            }
            for row in report.moments
        ],
        "promised": [
            {"promise": promise, "status": status, "promises": count}
            for (promise, status), count in sorted(report.promises.items())
        ],
    }


def _print(loaded: catalog.LoadedCatalog, report: Report, with_examples: bool) -> None:
    catalog_ = loaded.catalog
    rules = sum(len(entry.match) for entry in catalog_.touchpoints)
    out.print(
        f"{loaded.path}: version {loaded.version}, "
        f"{_counted(len(catalog_.touchpoints), 'touchpoint')} with {_counted(rules, 'rule')} on "
        f"{_counted(len(catalog_.channels), 'channel')}{_of_moments(loaded)}: no problem found",
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
    _print_moments(report)
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


def _of_moments(loaded: catalog.LoadedCatalog) -> str:
    """Return how many rules of moments and promises there are, if any."""
    rules, promises = len(loaded.catalog.rules), len(loaded.catalog.promises)
    if not rules and not promises:
        return ""
    return f", {_counted(rules, 'rule')} of moments and {_counted(promises, 'promise')}"


def _print_moments(report: Report) -> None:
    found = Counter((row.rule, row.kind, row.status) for row in report.moments)
    if found:
        table = Table("rule", "kind", "status", title="Moments of truth")
        table.add_column("moments", justify="right")
        for (rule, kind, status), count in found.most_common():
            table.add_row(rule, kind, status, f"{count:,}")
        out.print(table)
        for row in report.moments[:_SHOWN]:
            out.print(f"{row.occurred_at:%Y-%m-%d %H:%M} {row.rule}: {row.text}", markup=False)
        if len(report.moments) > _SHOWN:
            out.print(f"… and {_counted(len(report.moments) - _SHOWN, 'more moment')}")
    if report.promises:
        table = Table("promise", "status", title="Promises")
        table.add_column("promises", justify="right")
        for (promise, status), count in sorted(report.promises.items()):
            table.add_row(promise, status, f"{count:,}")
        out.print(table)


def _counted(number: int, noun: str) -> str:
    """Return ``1 line`` or ``2 lines``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
