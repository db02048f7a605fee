"""``touchline journey``: one customer's journeys as a person reads them, top down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from jobs.console import err, out, write_document
from jobs.query import check_data, customer_key, usage
from jobs.tables import duration, instant
from pipeline.embedded.stack import endpoints
from pipeline.errors import FatalError
from pipeline.settings import load
from pipeline.warehouse.biography import Biography, Row, biography
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import check_schema, migrate
from pipeline.warehouse.query_files import A_TIME, read_instant

#: Characters before what belongs to a step.
_INDENT = 6
_STYLES = {"pain": "red", "glory": "green"}
#: What became of a promise, as it is said and as it looks.
_KEEPING = {
    "pending": ("not due yet", "yellow"),
    "kept": ("kept", "green"),
    "kept_late": ("kept late", "yellow"),
    "broken": ("broken", "red"),
    "cancelled": ("cancelled", "dim"),
}


def journey(
    customer: Annotated[
        str,
        typer.Argument(
            help="Customer key, or an identifier written kind:value, such as customer_id:C-17."
        ),
    ],
    since: Annotated[
        str, typer.Option(help="Only interactions that happened at or after this.")
    ] = "1970-01-01",
    until: Annotated[
        str, typer.Option(help="Only interactions that happened before this.")
    ] = "2100-01-01",
    limit: Annotated[
        int, typer.Option(min=0, help="Interactions at most, the latest; 0 for all.")
    ] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show one customer's journeys, with the moments of truth and the promises in them.

    Ends with 1 where nothing is known of the customer. `touchline query timeline` has the steps as
    rows, for other programs.
    """
    first, end = _instant(since, "--since"), _instant(until, "--until")
    if first >= end:
        raise typer.BadParameter("must be before --until", param_hint="--since")
    settings = load()
    check_data(settings)
    with endpoints(settings, kafka=False, clickhouse=True) as connected:
        with usage():
            key = customer_key(customer, connected.settings)
        client = connect(connected.settings)
        if connected.embedded_clickhouse:
            migrate(client, connected.settings)
        check_schema(client)
        found = biography(client, key, first, end, limit or 2**32 - 1)
    if found is None:
        raise FatalError(
            "nothing is known of this customer (fix: check the identifier; its key depends on "
            "TOUCHLINE_PEPPER, and what was stored just now takes a few seconds)"
        )
    if as_json:
        write_document(_as_json(found))
        return
    for line in drawn(found):
        out.print(line)
    if found.left_out:
        err.print(f"{found.left_out:,} earlier interactions are not shown (--limit 0 shows all)")


def drawn(found: Biography) -> Iterator[Any]:
    """Yield what a person sees of a history, from top to bottom."""
    yield _who(found.who)
    if not found.journeys:
        yield Text("no interaction in this time", style="yellow")
    for told in found.journeys:
        if told["seconds_since_previous"] is not None:
            silence = duration(told["seconds_since_previous"])
            yield Text(f"  … {silence} without an interaction", style="dim")
        yield Rule(_heading(told), align="left", style="dim")
        for step in told["steps"]:
            yield Padding(_step(step), (0, 0, 0, 2))
            for line in _told_of(step):
                yield Padding(line, (0, 0, 0, _INDENT))


def _who(who: Row) -> Text:
    """Return one line on who it is."""
    line = Text.assemble(
        (f"customer {who['customer_key']}", "bold"),
        f" · segment {who['segment'] or '(none)'} · since {instant(who['first_at'])[:10]}",
        f" · {_counted(who['interactions'], 'interaction')}",
        f" in {_counted(who['journeys'], 'journey')} · ",
        (_counted(who["open_pains"], "open pain"), "red" if who["open_pains"] else ""),
        " · trust ",
        (f"{who['balance']:+,g}", "red" if who["balance"] < 0 else "green"),
        " · ",
        (_counted(who["strikes"], "strike"), "bold red" if who["at_risk"] else ""),
    )
    if who["at_risk"]:
        line.append(": likely to leave", "bold red")
    return line


def _heading(told: Row) -> Text:
    line = Text(f"journey {told['journey_number']}", style="bold")
    line.append(f" · {duration(told['duration_seconds'])}", "not bold")
    line.append(f" · {_counted(told['interactions'], 'interaction')}", "not bold")
    line.append(" · ")
    line.append(told["outcome"] or "no outcome", "green" if told["outcome"] else "dim")
    return line


def _step(step: Row) -> Text:
    line = Text(f"{instant(step['occurred_at'])}  ", style="")
    if step["handoff_from"]:
        line.append(f"{step['handoff_from']} → ", "yellow")
    line.append(step["channel"], "cyan")
    line.append(f"  {step['touchpoint']}", "bold")
    line.append(f"  {step['stage']}", "dim")
    if step["outcome"]:
        line.append(f"  {step['outcome']}", "green")
    return line


def _told_of(step: Row) -> Iterator[Text]:
    """Yield a line for each moment, and each promise made or answered at a step."""
    for moment in step["moments"]:
        mark = "✗" if moment["kind"] == "pain" else "✓"
        line = Text(f"{mark} {moment['kind']} {moment['rule']}", style=_STYLES[moment["kind"]])
        line.append(f" ({moment['severity']}, {moment['status']}", "not bold")
        if moment["closed_at"] is not None:
            line.append(f" {instant(moment['closed_at'])}")
        line.append(f"): {moment['text']}")
        yield line
    for promise in step["made"]:
        said, style = _KEEPING[promise["status"]]
        line = Text(f"promise {promise['promise']}, due {instant(promise['due_at'])}: ")
        yield line.append(said, style)
    for promise in step["answered"]:
        said, style = _KEEPING[promise["status"]]
        yield Text(f"promise {promise['promise']} {said}", style=style)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _as_json(found: Biography) -> bytes:
    document = {"customer": found.who, "journeys": found.journeys, "left_out": found.left_out}
    return orjson.dumps(document, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2) + b"\n"


def _instant(text: str, option: str) -> datetime:
    try:
        return read_instant(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"must be {A_TIME}", param_hint=option) from None
