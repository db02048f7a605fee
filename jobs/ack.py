"""``touchline ack``: somebody sees to an alert."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from jobs.console import out
from jobs.ordering import journal, say
from pipeline.alerts.orders import NotFound, leave, open_alert, order


def ack(
    alert: Annotated[
        str,
        typer.Argument(help="Id of the alert or of a moment in it, or its first 8 characters."),
    ],
    by: Annotated[str | None, typer.Option(help="Who sees to it; you when not given.")] = None,
    note: Annotated[str, typer.Option(help="A note that is kept with it.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Acknowledge an alert: it is not escalated, and its destinations hear who sees to it."""
    with journal() as kept:
        try:
            found = open_alert(kept, alert)
        except NotFound as error:
            raise typer.BadParameter(str(error), param_hint="ALERT") from None
        wanted = order("acknowledge", by, note)
        wanted.alert_id = found.alert_id
        taken = leave(kept, [wanted])
    if as_json:
        result = {"alert_id": str(found.alert_id), "by": wanted.by, "taken_up": taken}
        out.print_json(json.dumps(result))
    else:
        say(taken, f"{wanted.by} sees to {found.alert_id}")
