"""``touchline backtest``: what rules would have found in history, and writing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from clickhouse_connect.driver.client import Client
from rich import box
from rich.table import Table
from rich.text import Text

from jobs.console import err, out, progress, write_document
from jobs.query import check_data
from pipeline import rule_file
from pipeline.backtest import Backtest, Difference, Report, Tally, at, name
from pipeline.embedded.stack import endpoints
from pipeline.rule_file import Scope, Trial
from pipeline.settings import load as load_settings
from pipeline.warehouse.catalog_tables import current
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import check_schema, migrate
from pipeline.warehouse.past import Past
from pipeline.warehouse.query_files import A_TIME, read_instant

#: Differences of each sort that are shown to a person, unless --limit says otherwise.
_SHOWN = 10


def backtest(
    rules: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RULES.toml]",
            help=r"A catalog, or a file with only \[\[rules]], \[\[promises]], \[\[calendars]], "
            r"\[strikes] or \[trust] that is laid over the configured one by id; the configured "
            "catalog when not given.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only what occurred, or was promised, at or after this.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only before this.")] = None,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply",
            help="Write the differences. Doing it again writes nothing. No alert goes out: they "
            "are written to ClickHouse, not to the topic of moments.",
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help="Examples of differences; 10 by default, all with --json."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Try rules on the stored history: what would they have found, and what was found?

    The same engine as in the worker looks at every stored interaction, as it was classified. What
    depends on the given rules, such as three strikes, is shown too. With --apply what workers found
    is brought in line, also after a rule of the catalog changed: restart the workers with the new
    catalog first, else they go on with the old rules and may find their moments again.

    Ends with 0 also where there are differences, with 1 when something cannot be read or written,
    with 2 when the file cannot be used.
    """
    window = _instant("--since", since), _instant("--until", until)
    if window[0] is not None and window[1] is not None and window[0] >= window[1]:
        raise typer.BadParameter("must be before --until", param_hint="--since")
    settings = load_settings()
    trial = rule_file.load(rules, settings.catalog)
    check_data(settings)
    keep = limit if limit is not None or as_json else _SHOWN
    with endpoints(settings, kafka=False, clickhouse=True) as connected:
        client = connect(connected.settings)
        if connected.embedded_clickhouse:
            migrate(client, connected.settings)
        check_schema(client)
        if apply:
            _warn_of_other_catalog(client, trial)
        report = _run(Past(client), trial, window, apply, keep)
    if as_json:
        document = _as_json(trial, window, apply, report)
        write_document(orjson.dumps(document, option=_JSON) + b"\n")
    else:
        _print(trial, apply, report, keep)


def _instant(option: str, text: str | None) -> datetime | None:
    try:
        return None if text is None else read_instant(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"must be {A_TIME}", param_hint=option) from None


def _warn_of_other_catalog(client: Client, trial: Trial) -> None:
    version, _ = current(client)
    if version and version != trial.loaded.version:
        err.print(
            f"the workers that started last use catalog version {version}, this is "
            f"{trial.loaded.version}: while they run with other rules they may find again what is "
            "written otherwise now (fix: restart them with these rules in TOUCHLINE_CATALOG)",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


def _run(
    past: Past,
    trial: Trial,
    window: tuple[datetime | None, datetime | None],
    apply: bool,
    keep: int | None,
) -> Report:
    with progress() as bar:
        task = bar.add_task("looking", total=past.size())
        return Backtest(past, trial, *window).run(
            apply, keep, lambda records: bar.advance(task, records)
        )


# --- for programs -------------------------------------------------------------------------------

_JSON = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z


def _as_json(
    trial: Trial,
    window: tuple[datetime | None, datetime | None],
    apply: bool,
    report: Report,
) -> dict[str, Any]:
    follows = trial.scope.follows
    return {
        "catalog": trial.loaded.path,
        "version": trial.loaded.version,
        "since": window[0],
        "until": window[1],
        "records": report.records,
        "rules": [
            {"rule": each, "follows": follows(each), **vars(tally)}
            for each, tally in report.rules.items()
        ],
        "promises": [{"promise": each, **vars(tally)} for each, tally in report.promises.items()],
        "moment_differences": [_difference(each) for each in report.moment_differences],
        "promise_differences": [_difference(each) for each in report.promise_differences],
        "applied": apply,
        "written": report.written,
    }


def _difference(difference: Difference) -> dict[str, Any]:
    before, row = difference.before, difference.row
    return {
        "difference": difference.kind,
        "before": None if before is None else before._asdict(),
        "after": None if difference.kind == "gone" else row._asdict(),
    }


# --- for people ---------------------------------------------------------------------------------


def _print(trial: Trial, apply: bool, report: Report, keep: int | None) -> None:
    out.print(
        f"{trial.loaded.path}: version {trial.loaded.version}, tried on {report.records:,} stored "
        "records",
        markup=False,
    )
    if report.rules:
        out.print(_tallies("rule", report.rules, trial.scope))
    if report.promises:
        out.print(_tallies("promise", report.promises, None))
    if not report.rules and not report.promises:
        out.print("nothing in it finds moments", style="yellow")
    for what, tallies, differences in (
        ("rule", report.rules, report.moment_differences),
        ("promise", report.promises, report.promise_differences),
    ):
        if differences:
            out.print(_examples(what, differences))
        left = _total(tallies) - len(differences)
        if left and keep:
            err.print(f"and {left:,} more (--limit {keep + left} shows all, so does --json)")
    total = _total(report.rules) + _total(report.promises)
    if apply:
        out.print(f"{report.written:,} rows written")
    elif total:
        out.print(f"{total:,} differences; --apply writes them")
    else:
        out.print("no difference")


def _total(tallies: Mapping[str, Tally]) -> int:
    return sum(each.new + each.gone + each.changed for each in tallies.values())


#: Marks a rule that is not in the file and changes with those that are.
_FOLLOWS = " (follows)"


def _tallies(what: str, tallies: Mapping[str, Tally], scope: Scope | None) -> Table:
    # fits into 80 columns
    table = Table(header_style="bold", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    follows = [key for key in tallies if scope is not None and scope.follows(key)]
    widths = [*map(len, tallies), *(len(key) + len(_FOLLOWS) for key in follows)]
    table.add_column(what, no_wrap=True, min_width=max(widths, default=0))
    for column in ("found", "would be", "new", "gone", "changed"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("first", no_wrap=True)
    table.add_column("last", no_wrap=True)
    for key, tally in tallies.items():
        label = Text(key)
        if key in follows:
            label.append(_FOLLOWS, style="dim")
        differing = [_count(value) for value in (tally.new, tally.gone, tally.changed)]
        times = [
            Text("–", style="dim") if t is None else Text(f"{t:%Y-%m-%d}") for t in _ends(tally)
        ]
        table.add_row(label, f"{tally.found:,}", f"{tally.would:,}", *differing, *times)
    return table


def _ends(tally: Tally) -> Sequence[datetime | None]:
    return tally.first, tally.last


def _count(value: int) -> Text:
    return Text(f"{value:,}", style="bold") if value else Text("·", style="dim")


def _examples(what: str, differences: Sequence[Difference]) -> Table:
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, collapse_padding=True)
    table.add_column("difference", no_wrap=True)
    table.add_column(what, overflow="fold")
    table.add_column("at", no_wrap=True)
    table.add_column("customer", overflow="fold")
    table.add_column("what", overflow="fold")
    for each in differences:
        known = each.before if each.kind == "gone" and each.before is not None else each.row
        table.add_row(
            each.kind, Text(name(known)), _time(at(known)), known.customer_key, Text(_what(each))
        )
    return table


def _what(difference: Difference) -> str:
    if difference.kind == "changed":
        changes = (
            f"{column} {_value(old)} → {_value(new)}"
            for column, (old, new) in difference.fields().items()
        )
        return "; ".join(changes)
    row = difference.row if difference.before is None else difference.before
    return " ".join(filter(None, (row.status, row.subject, f"at {row.touchpoint}")))


def _value(value: Any) -> str:
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, list):
        return f"{len(value)} events"
    return "none" if value in (None, "") else str(value)


def _time(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}"
