"""``touchline silence``: for a time nobody is told of a rule or by an owner's name."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from jobs.console import err, out
from jobs.ordering import journal, say
from jobs.tables import instant
from pipeline.alerts.journal import Journal
from pipeline.alerts.orders import leave, order
from pipeline.alerts.state import Order
from schemas.entry import parse_duration


def silence(
    rule: Annotated[str, typer.Option(help="Only moments of this rule.")] = "",
    owner: Annotated[str, typer.Option(help="Only moments of this owner.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All moments.")] = False,
    lasting: Annotated[str, typer.Option("--for", help="How long, e.g. 30m, 2h or 1d.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept with it.")] = "",
    by: Annotated[str | None, typer.Option(help="Who wants it; you when not given.")] = None,
    end: Annotated[str, typer.Option(help="End this silence: its id or the beginning.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="List the silences that go on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell nobody of new moments for a time; what is still open after it comes in a summary."""
    with journal() as kept:
        if listed:
            _list(kept, as_json)
            return
        wanted = order("unsilence" if end else "silence", by, reason)
        if end:
            wanted.target = _named(kept, end)
        else:
            wanted.until = _until(rule, owner, everything, lasting)
            wanted.rule, wanted.owner = rule, owner
        taken = leave(kept, [wanted])
    if as_json:
        out.print_json(json.dumps({**_row(wanted), "taken_up": taken}))
    elif end:
        say(taken, "the silence is over")
    else:
        until = instant(wanted.until) if wanted.until else ""
        say(taken, f"silent until {until} UTC (end it: touchline silence --end {wanted.order_id})")


def _until(rule: str, owner: str, everything: bool, lasting: str) -> datetime:
    """Return the end of a silence; checks what was asked for."""
    if not (rule or owner or everything):
        raise typer.BadParameter("say which: --rule, --owner, both, or --all", param_hint="--rule")
    if everything and (rule or owner):
        raise typer.BadParameter("goes with neither --rule nor --owner", param_hint="--all")
    try:
        return datetime.now(timezone.utc) + parse_duration(lasting)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from None


def _named(kept: Journal, name: str) -> UUID:
    """Return the silence of an id or its beginning."""
    found = [item for item in _active(kept) if str(item.order_id).startswith(name.lower())]
    if len(found) != 1:
        what = "no silence" if not found else "more than one silence"
        raise typer.BadParameter(
            f"{what} begins with {name!r} (see `touchline silence --list`)", param_hint="--end"
        )
    return found[0].order_id


def _active(kept: Journal) -> list[Order]:
    now = datetime.now(timezone.utc)
    return [
        item
        for item in kept.orders("active", "asked")
        if item.action == "silence" and item.until is not None and item.until > now
    ]


def _list(kept: Journal, as_json: bool) -> None:
    found = _active(kept)
    if as_json:
        out.print_json(json.dumps([_row(item) for item in found]))
        return
    if not found:
        err.print("no silence goes on")
        return
    table = Table("silence", "rule", "owner", "until (UTC)", "by", "reason", box=None)
    for item in found:
        until = instant(item.until) if item.until else ""
        cells = (str(item.order_id), item.rule or "any", item.owner or "any", until)
        table.add_row(*cells, item.by, item.reason)
    out.print(table)


def _row(item: Order) -> dict[str, str | None]:
    def text(value: UUID | datetime | None) -> str | None:
        if value is None:
            return None
        return value.isoformat() if isinstance(value, datetime) else str(value)

    return {
        "order_id": str(item.order_id),
        "action": item.action,
        "rule": item.rule,
        "owner": item.owner,
        "until": text(item.until),
        "ends": text(item.target),
        "by": item.by,
        "reason": item.reason,
    }
