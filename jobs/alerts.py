"""``touchline alerts``: what people do with alerts and their destinations."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import nullcontext, redirect_stdout
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import uuid4

import typer

from jobs.console import err, out
from pipeline.alerts.answers import Answer, DeliveryError, Sender
from pipeline.alerts.destinations.opening import open_sender
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
