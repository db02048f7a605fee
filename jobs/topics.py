"""``touchline topics``: the topics made beforehand, and looked at."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from jobs.console import out
from jobs.sending import quiet_kafka
from pipeline import catalog, topic_plan
from pipeline.doctor.findings import Level
from pipeline.producers.producer import with_broker
from pipeline.settings import Settings
from pipeline.settings import load as load_settings
from schemas.catalog import Catalog

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make the topics that workers use, or look at those that are there.",
)

_AS_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def check(as_json: _AS_JSON = False) -> None:
    """Say what is well with the topics, what is not, and how to mend it.

    Ends with 0 when nothing failed, warnings or not, and with 1 when something did.
    """
    settings, found_catalog = _ready()
    there = topic_plan.present(settings, topic_plan.names(settings, found_catalog))
    found = list(topic_plan.judge(settings, found_catalog, there))
    failed = any(level is Level.FAIL for level, _, _ in found)
    if as_json:
        topics = {
            each.name: {
                "partitions": each.partitions,
                "replication": each.replication,
                "in_sync": each.in_sync,
            }
            for each in there.values()
        }
        findings = [{"level": level.value, "said": said, "fix": fix} for level, said, fix in found]
        out.print_json(json.dumps({"healthy": not failed, "topics": topics, "checks": findings}))
    else:
        for level, said, fix in found:
            told = f"\n     fix: {fix}" if fix else ""
            out.print(f"{level.value:<5}{said}{told}", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def create(
    partitions: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Of each topic; TOUCHLINE_PARTITIONS by default."),
    ] = None,
    replication: Annotated[
        int | None,
        typer.Option(min=1, max=10, help="Copies of each; TOUCHLINE_REPLICATION by default."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")
    ] = False,
    as_json: _AS_JSON = False,
) -> None:
    """Make the topics that are missing; those that are there stay as they are.

    One for each channel of the catalog, all with the same number of partitions, one for rejected
    records, one for moments. With three copies or more they need two in sync for every record.
    """
    settings, found_catalog = _ready()
    there = topic_plan.present(settings, topic_plan.names(settings, found_catalog))
    wanted = topic_plan.plan(settings, found_catalog, there, partitions, replication)
    if not dry_run:
        topic_plan.create(settings, wanted)
    if as_json:
        made = [
            {
                "name": each.name,
                "partitions": each.partitions,
                "replication": each.replication,
                "config": each.config,
            }
            for each in wanted
        ]
        out.print_json(json.dumps({"dry_run": dry_run, "present": sorted(there), "created": made}))
        return
    for each in wanted:
        config = "".join(f", {key}={value}" for key, value in each.config.items())
        out.print(
            f"{'would make' if dry_run else 'made'} {each.name}: {each.partitions} partitions in "
            f"{each.replication} {'copy' if each.replication == 1 else 'copies'}{config}",
            markup=False,
        )
    if there:
        out.print(f"{len(there)} topics are there already", markup=False)


def _ready() -> tuple[Settings, Catalog]:
    quiet_kafka()
    settings = load_settings()
    return with_broker(settings), catalog.load(settings.catalog).catalog
