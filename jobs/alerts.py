"""``touchline alerts``: what people do with alerts and their destinations."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import nullcontext, redirect_stdout
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import typer
from rich.table import Table

from jobs.console import err, out
from jobs.ordering import journal, say
from jobs.tables import instant
from pipeline.alerts.answers import Answer, DeliveryError, Sender
from pipeline.alerts.destinations.opening import open_sender
from pipeline.alerts.orders import dead_letters, leave, order
from pipeline.alerts.safe_http import SafeHttp
from pipeline.alerts.sample import sample
from pipeline.catalog import load as load_catalog
from pipeline.settings import load as load_settings
from pipeline.toml_model import near
from schemas.alerts import Destination
from schemas.catalog import Catalog
from schemas.notification import delivery_id

alerts = typer.Typer(
    help="Alerts and where they go.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@alerts.callback()
def _group() -> None:
    """Alerts and where they go."""


@alerts.command("test")
def test_destination(
    destination: Annotated[str, typer.Argument(help="Id of a destination of the catalog.")],
    catalog_file: Annotated[
        Path | None, typer.Option("--catalog", help="Catalog TOML; the default one when not given.")
    ] = None,
    resolve: Annotated[
        bool, typer.Option("--resolve", help="Then tell that it is mended, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send a sample alert to a destination, once, and show what it answers.

    The sample is mild, says that nothing happened, and is marked as a test.

    Ends with 1 when it was not taken.
    """
    settings = load_settings(catalog=catalog_file)
    found = named(load_catalog(settings.catalog).catalog, destination)
    actions: list[Literal["trigger", "resolve"]] = ["trigger", "resolve"]
    # what a destination of type stdout writes must not come between the JSON
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        told = asyncio.run(_send(found, actions if resolve else actions[:1]))
    if as_json:
        out.print_json(json.dumps({"destination": destination, "sent": told}))
    else:
        for row in told:
            _print(destination, row)
    raise typer.Exit(0 if all(row["taken"] for row in told) else 1)


def named(catalog: Catalog, destination: str) -> Destination:
    """Return a destination of a catalog.

    Raises:
        typer.BadParameter: There is none of that name; says which there are.
    """
    known = {entry.id: entry for entry in catalog.destinations}
    if destination not in known:
        there = ", ".join(known) or "none; declare it under [[destinations]]"
        guess = near(destination, list(known))
        raise typer.BadParameter(
            f"no destination {destination!r} in the catalog (there are: {there})"
            + (f"; {guess}" if guess else ""),
            param_hint="DESTINATION",
        )
    return known[destination]


async def _send(
    destination: Destination, actions: list[Literal["trigger", "resolve"]]
) -> list[dict[str, Any]]:
    http = SafeHttp()
    try:
        sender = open_sender(destination, http)
        try:
            return await _each(sender, destination.id, actions)
        finally:
            await sender.close()
    finally:
        await http.close()


async def _each(
    sender: Sender, destination: str, actions: list[Literal["trigger", "resolve"]]
) -> list[dict[str, Any]]:
    """Send one after the other, and nothing after one that was not taken."""
    alert = uuid4()
    told: list[dict[str, Any]] = []
    for action in actions:
        notification = sample(alert, action, destination, datetime.now(timezone.utc))
        delivery = delivery_id(alert, destination, notification.sequence)
        answer: Answer | DeliveryError
        try:
            answer = await sender.send(notification, delivery)
        except DeliveryError as error:
            answer = error
        taken = isinstance(answer, Answer)
        told.append(
            {
                "action": action,
                "alert_id": str(alert),
                "delivery_id": str(delivery),
                "taken": taken,
                "status": answer.status,
                "detail": answer.detail if isinstance(answer, Answer) else answer.reason,
            }
        )
        if not taken:
            break
    return told


def _print(destination: str, row: dict[str, Any]) -> None:
    status = f" (HTTP {row['status']})" if row["taken"] and row["status"] else ""
    detail = f": {row['detail']}" if row["detail"] else ""
    said = f"{destination}: {row['action']} {'taken' if row['taken'] else 'not taken'}"
    console = out if row["taken"] else err
    console.print(f"{said}{status}{detail}", markup=False, soft_wrap=True)


@alerts.command("list")
def list_open(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most alerts shown.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the alerts that are open, the worst first."""
    with journal() as kept:
        found = kept.open_alerts(limit)
    if as_json:
        rows = [
            {
                "alert_id": str(item.alert_id),
                "severity": item.severity,
                "route": item.route,
                "group": item.group,
                "owners": item.owners,
                "moments": item.count,
                "open": item.open,
                "opened_at": item.opened_at.isoformat(),
                "acknowledged_by": item.acknowledged_by,
            }
            for item in found
        ]
        out.print_json(json.dumps(rows))
        return
    if not found:
        err.print("no alert is open")
        return
    table = Table(
        "alert", "severity", "since (UTC)", "open", "what", "owner", "seen to by", box=None
    )
    for item in found:
        what = ", ".join(item.group.values()) or item.route
        opened, owners = instant(item.opened_at), ", ".join(item.owners)
        cells = (str(item.alert_id)[:8], item.severity, opened, f"{item.open} of {item.count}")
        table.add_row(*cells, what, owners, item.acknowledged_by)
    out.print(table)


@alerts.command("redeliver")
def redeliver(
    destination: Annotated[
        str, typer.Option(help="Only to this destination; to any when not given.")
    ] = "",
    alert: Annotated[str, typer.Option(help="Only of this alert, by its whole id.")] = "",
    by: Annotated[str | None, typer.Option(help="Who wants it; you when not given.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Deliver dead letters again: notifications that were given up.

    What a later notification made superfluous stays where it is: a pain that was already told to
    be mended is not raised again.
    """
    wanted = order("redeliver", by)
    wanted.destination = destination
    if alert:
        try:
            wanted.alert_id = UUID(alert)
        except ValueError:
            raise typer.BadParameter("must be the whole id", param_hint="--alert") from None
    with journal() as kept:
        dead = dead_letters(kept, wanted)
        taken = leave(kept, [wanted]) if dead and not dry_run else False
    if as_json:
        told = {"dead_letters": len(dead), "dry_run": dry_run, "taken_up": taken}
        out.print_json(json.dumps(told))
    elif not dead:
        err.print("there are no dead letters")
    elif dry_run:
        err.print(f"{_letters(len(dead))} to be delivered again")
    else:
        say(taken, f"delivering {_letters(len(dead))} again")


def _letters(number: int) -> str:
    return "1 dead letter" if number == 1 else f"{number} dead letters"
