"""``touchline replay``: rejected records sent again, or a range of topics read again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Annotated

import typer
from clickhouse_connect.driver.client import Client

from jobs.console import err, out, progress
from jobs.sending import quiet_kafka
from pipeline import catalog, topic_plan, topics
from pipeline.decode import decode, known_channels
from pipeline.embedded.stack import endpoints
from pipeline.errors import FatalError, SettingsError
from pipeline.producers.producer import with_broker
from pipeline.replay import ranges
from pipeline.replay.rejected import Judge, Kept, Outcome, Place, Selection, read
from pipeline.replay.sending import Sending
from pipeline.settings import Settings
from pipeline.settings import load as load_settings
from pipeline.sink import Fence
from pipeline.warehouse.accounting import Account, account
from pipeline.warehouse.client import connect, explained
from pipeline.warehouse.migrate import check_schema
from pipeline.warehouse.query_files import A_TIME, read_instant

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Send rejected records again after a fix, or have workers read topics again.",
)

#: Rejects that are looked up, sent and marked together.
_BATCH = 500

_AS_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_DRY_RUN = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]


@dataclass(frozen=True)
class _Ready:
    """What both commands work with."""

    settings: Settings
    loaded: catalog.LoadedCatalog
    client: Client


@app.command()
def rejects(
    reason: Annotated[
        list[str] | None, typer.Option(help="Only those rejected for this; can be repeated.")
    ] = None,
    topic: Annotated[
        list[str] | None, typer.Option(help="Only those of this topic; can be repeated.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only those rejected at or after this.")] = None,
    until: Annotated[str | None, typer.Option(help="Only those rejected before this.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Send so many at most.")] = None,
    dry_run: _DRY_RUN = False,
    as_json: _AS_JSON = False,
) -> None:
    """Send rejected records to where they came from, once each.

    For after a fix: a channel added to the catalog, a larger TOUCHLINE_MAX_RECORD_BYTES, a newer
    version. A record that this version and catalog would reject again is left where it is, as is
    one that was replayed or accepted before. Workers may run meanwhile.

    Ends with 0 when nothing that was asked for is left behind, with 1 when something is: it would
    be rejected again, was kept shortened, or has no topic any more.
    """
    selection = Selection(
        frozenset(reason or ()), frozenset(topic or ()), _time(since, "--since"),
        _time(until, "--until"),
    )  # fmt: skip
    with ExitStack() as parts:
        ready = _ready(parts)
        outcome = _rejects(ready, selection, limit, dry_run)
    if as_json:
        told = {**outcome.__dict__, "refused": dict(outcome.refused), "dry_run": dry_run}
        out.print_json(json.dumps(told))
    else:
        _say_rejects(outcome, dry_run)
    if outcome.unsent:
        raise typer.Exit(1)


@app.command("range")
def read_again(
    topic: Annotated[
        list[str] | None,
        typer.Option(help="TOPIC or TOPIC:PARTITION; can be repeated; every input topic if not."),
    ] = None,
    from_offset: Annotated[
        int | None, typer.Option(min=0, help="Read again from this offset.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Read again what Kafka got at or after this.")
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Read again everything that Kafka keeps.")
    ] = False,
    dry_run: _DRY_RUN = False,
    as_json: _AS_JSON = False,
) -> None:
    """Have workers read topics again, and store what is missing of it.

    For rows that ClickHouse lost. Nothing is sent: the workers' offsets are set back, so no worker
    may run. Start them afterwards; what is stored is found and not stored again, and they read on
    to where they were.
    """
    given = sum((from_offset is not None, since is not None, from_beginning))
    if given != 1:
        raise typer.BadParameter("say one of --from-offset, --since and --from-beginning")
    start = ranges.Start(from_offset, _time(since, "--since"), from_beginning)
    with ExitStack() as parts:
        ready = _ready(parts)
        names = ranges.input_topics(
            ready.settings, topics.inputs(ready.settings, ready.loaded.catalog)
        )
        try:
            found = ranges.ranges(ready.settings, names, topic or [], start)
        except SettingsError as error:
            raise typer.BadParameter(str(error), param_hint="--topic") from None
        counted = _account(ready, names, found)
        if not dry_run and found:
            ranges.apply(ready.settings, found)
    _say_ranges(found, counted, dry_run, as_json)


def _ready(parts: ExitStack) -> _Ready:
    quiet_kafka()
    settings = load_settings()
    loaded = catalog.load(settings.catalog)
    with_broker(settings)  # a broker started for this would be empty
    connected = parts.enter_context(endpoints(settings, kafka=True, clickhouse=True))
    client = connect(connected.settings)
    check_schema(client)
    return _Ready(connected.settings, loaded, client)


def _time(text: str | None, option: str) -> datetime | None:
    try:
        return None if text is None else read_instant(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"must be {A_TIME}", param_hint=option) from None


def _rejects(ready: _Ready, selection: Selection, limit: int | None, dry_run: bool) -> Outcome:
    settings, channels = ready.settings, known_channels(ready.loaded.channels)
    own = topics.rejected(settings)
    there = topic_plan.present(settings, [own, *topics.inputs(settings, ready.loaded.catalog)])
    if own not in there:
        raise FatalError(f"there is no topic {own} (fix: check TOUCHLINE_TOPIC_PREFIX)")
    ends = topics.ends(settings, [own])
    partitions = {name: each.partitions for name, each in there.items() if name != own}
    judge = Judge(
        selection,
        frozenset(_replayed(settings, ends)),
        partitions,
        lambda value: decode(value, channels, settings.max_record_bytes),
        limit,
    )
    fence = Fence(ready.client, "interaction_records")
    with progress() as bar, ExitStack() as parts:
        task = bar.add_task("reading rejects", total=sum(ends.values()))
        sending = None if dry_run else parts.enter_context(Sending(settings, partitions))
        found = (kept for kept in read(settings, ends) if not kept.replayed)
        while batch := list(islice(found, _BATCH)):
            with explained():
                wanted = judge.wanted(batch, fence.missing)
            if sending is not None and wanted:
                sending.send(wanted, lambda sent: None)
            bar.advance(task, len(batch))
    return judge.outcome


def _replayed(settings: Settings, ends: Mapping[topics.TopicPartition, int]) -> Iterator[Place]:
    found: Iterator[Kept] = read(settings, ends)
    return (kept.place for kept in found if kept.replayed)


def _say_rejects(outcome: Outcome, dry_run: bool) -> None:
    out.print(
        f"{outcome.selected:,} rejected records found, {outcome.sent:,} "
        f"{'would be sent' if dry_run else 'sent'} again",
        markup=False,
    )
    reasons = ", ".join(f"{code} {count:,}" for code, count in outcome.refused.most_common())
    lines = {
        "were replayed before": outcome.replayed,
        "are stored already": outcome.stored,
        f"would be rejected again: {reasons}": outcome.refused.total(),
        "were too large to be kept whole: their producers have to send them again": (
            outcome.shortened
        ),
        "are of topics that this catalog does not read, or that are gone": outcome.homeless,
        "are more than --limit, and left for the next time": outcome.beyond,
    }
    for words, count in lines.items():
        if count:
            out.print(f"{count:,} {words}", markup=False)


def _account(ready: _Ready, names: list[str], found: list[ranges.Range]) -> Account | None:
    """Add up what ClickHouse holds of what would be read again."""
    if not found:
        return None
    with topics.admin(ready.settings) as client:
        ids = topics.identities(client, names)
    starts = {each.place: each.first for each in found}
    ends = {each.place: each.end for each in found}
    with explained():
        return account(ready.client, ids, starts, ends)


def _say_ranges(
    found: list[ranges.Range], counted: Account | None, dry_run: bool, as_json: bool
) -> None:
    records = sum(each.end - each.first for each in found)
    rejected = 0 if counted is None else sum(counted.rejected.values())
    missing = 0 if counted is None else counted.produced - counted.records - rejected
    if as_json:
        partitions = [
            {"topic": each.place[0], "partition": each.place[1], "from": each.first, "to": each.end}
            for each in found
        ]
        result = {"offsets": records, "missing": missing, "rejected": rejected}
        out.print_json(json.dumps({"dry_run": dry_run, **result, "partitions": partitions}))
        return
    if not found:
        out.print("nothing to read again: workers have not read that far")
        return
    for each in found:
        name = f"{each.place[0]}[{each.place[1]}]"
        out.print(f"{name}: offsets {each.first:,} to {each.end - 1:,}", markup=False)
    out.print(
        f"{records:,} offsets {'would be' if dry_run else 'are to be'} read again; {missing:,} of "
        f"them are neither stored nor rejected, {rejected:,} are rejected",
        markup=False,
    )
    if not dry_run:
        err.print(
            "start the workers now (`touchline worker`); when nothing waits any more, `touchline "
            "backtest --apply` finds the moments in what was stored again",
            markup=False,
            soft_wrap=True,
        )
