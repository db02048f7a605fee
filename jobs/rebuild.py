"""``touchline rebuild``: steps and journeys computed anew from the stored records."""

from __future__ import annotations

import json
from time import monotonic
from typing import Annotated

import typer

from jobs.console import err, out, progress
from jobs.query import check_data
from pipeline.embedded.stack import endpoints
from pipeline.settings import load
from pipeline.warehouse.client import connect
from pipeline.warehouse.migrate import check_schema, migrate
from pipeline.warehouse.query_files import A_TIME, read_instant
from pipeline.warehouse.refresh import Journeys, customers


def rebuild(
    since: Annotated[
        str | None,
        typer.Option(help="Only customers with an interaction at or after this."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compute steps and journeys anew from the stored interactions and moments.

    Workers keep them up to date; this is for what they did not see: the first time after an
    upgrade, a catalog with another journey gap or other outcomes, rows deleted by hand. It may run
    beside workers and queries, and running it again changes nothing.
    """
    try:
        first = None if since is None else read_instant(since)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"must be {A_TIME}", param_hint="--since") from None
    settings = load()
    check_data(settings)
    with endpoints(settings, kafka=False, clickhouse=True) as connected:
        client = connect(connected.settings)
        if connected.embedded_clickhouse:
            migrate(client, connected.settings)
        check_schema(client)
        began = monotonic()
        with progress() as bar:
            task = bar.add_task("rebuilding", total=customers(client))
            done = Journeys(client).rebuild(first, lambda some: bar.advance(task, some))
            bar.update(task, total=done, completed=done)
    seconds = round(monotonic() - began, 1)
    if as_json:
        out.print_json(json.dumps({"customers": done, "since": since, "seconds": seconds}))
    else:
        err.print(f"journeys of {done:,} customers computed anew in {seconds:g} s")
