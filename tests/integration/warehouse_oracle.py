"""What the warehouse must answer, computed in plain Python from the same records.

Written from the definitions, not from the SQL: one record is a dictionary by column name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import md5
from statistics import median
from typing import Any

Record = dict[str, Any]


def place(record: Record) -> tuple[Any, ...]:
    """Where a record stands; ClickHouse orders UUIDs by their second half first."""
    halves = divmod(record["topic_id"].int, 1 << 64)
    return record["topic"], halves[1], halves[0], record["partition"], record["offset"]


def stored(records: Iterable[Record]) -> list[Record]:
    """Every Kafka record once; of one stored twice the one that was taken last."""
    latest: dict[tuple[Any, ...], Record] = {}
    for record in records:
        known = latest.get(place(record))
        if known is None or record["ingested_at"] > known["ingested_at"]:
            latest[place(record)] = record
    return list(latest.values())


def events(records: Iterable[Record]) -> list[Record]:
    """One record an event, the one that stands first in Kafka, with its stage."""
    first: dict[tuple[str, str], Record] = {}
    for record in sorted(stored(records), key=place):
        first.setdefault((record["customer_key"], record["event_id"]), record)
    return [{**event, "stage": _stage(event, first.values())} for event in first.values()]


def _stage(event: Record, everything: Iterable[Record]) -> str:
    if event["touchpoint"] == "unclassified":
        return "unclassified"
    now = (event["occurred_at"], event["event_id"])
    for fact, times, stage in event["stage_after"]:
        earlier = [
            other
            for other in everything
            if other["customer_key"] == event["customer_key"]
            and fact in other["facts"]
            and (other["occurred_at"], other["event_id"]) < now
        ]
        if len(earlier) >= times:
            return str(stage)
    return str(event["stage_default"])


def histories(found: Iterable[Record]) -> dict[str, list[Record]]:
    """Each customer's events in order."""
    by_customer = defaultdict(list)
    for event in found:
        by_customer[event["customer_key"]].append(event)
    return {
        customer: sorted(steps, key=lambda step: (step["occurred_at"], step["event_id"]))
        for customer, steps in by_customer.items()
    }


def cut(steps: list[Record], gap: timedelta) -> list[list[Record]]:
    """A customer's steps as journeys."""
    parts = [[steps[0]]]
    for before, step in zip(steps, steps[1:], strict=False):
        if step["occurred_at"] - before["occurred_at"] > gap:
            parts.append([])
        parts[-1].append(step)
    return parts


def journeys(found: Iterable[Record], gap: timedelta) -> list[Record]:
    """Every journey with the columns of the view."""
    made = []
    for customer, steps in histories(found).items():
        for number, part in enumerate(cut(steps, gap), 1):
            path = [step["touchpoint"] for step in part]
            channels = [step["channel"] for step in part]
            segments = [step["segment"] for step in steps if step["segment"]]
            began, ended = part[0]["occurred_at"], part[-1]["occurred_at"]
            named = f"{customer}:{part[0]['event_id']}"
            made.append(
                {
                    "journey_id": md5(named.encode(), usedforsecurity=False).hexdigest(),
                    "customer_key": customer,
                    "journey_number": number,
                    "segment": segments[-1] if segments else "",
                    "started_at": began,
                    "ended_at": ended,
                    "duration_seconds": (ended - began).total_seconds(),
                    "steps": len(part),
                    "path": path,
                    "path_collapsed": collapsed(path),
                    "channels": list(dict.fromkeys(channels)),
                    "channel_changes": len(collapsed(channels)) - 1,
                    "stages": list(dict.fromkeys(step["stage"] for step in part)),
                    "first_touchpoint": path[0],
                    "last_touchpoint": path[-1],
                }
            )
    return made


def collapsed(values: list[str]) -> list[str]:
    """Consecutive repeats as one."""
    return [
        value for number, value in enumerate(values) if number == 0 or value != values[number - 1]
    ]


def p90(values: list[float]) -> float:
    """The 90th percentile, linear between neighbours as in numpy and Excel."""
    ordered = sorted(values)
    exact = 0.9 * (len(ordered) - 1)
    low = int(exact)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (exact - low)


#: How many pains and glories an event caused, by customer and event id.
Felt = Mapping[tuple[str, str], tuple[int, int]]


def feelings(found: Iterable[Record], felt: Felt) -> tuple[int, int]:
    """Pains and glories that events caused."""
    pairs = [felt.get((event["customer_key"], event["event_id"]), (0, 0)) for event in found]
    return sum(pains for pains, _ in pairs), sum(glories for _, glories in pairs)


def transitions(
    found: Iterable[Record], gap: timedelta, since: datetime, until: datetime, felt: Felt
) -> list[tuple[Any, ...]]:
    """The directly-follows pairs within journeys, with the moments of the step arrived at."""
    pairs = defaultdict(list)
    for customer, steps in histories(found).items():
        for part in cut(steps, gap):
            for before, step in zip(part, part[1:], strict=False):
                if since <= step["occurred_at"] < until:
                    seconds = (step["occurred_at"] - before["occurred_at"]).total_seconds()
                    pairs[before["touchpoint"], step["touchpoint"]].append(
                        (customer, seconds, step)
                    )
    leaving = Counter({pair[0]: 0 for pair in pairs})
    for (start, _), seen in pairs.items():
        leaving[start] += len(seen)
    return [
        (
            start,
            end,
            len(seen),
            len({customer for customer, _, _ in seen}),
            len(seen) / leaving[start],
            median(seconds for _, seconds, _ in seen),
            p90([seconds for _, seconds, _ in seen]),
            *feelings((step for _, _, step in seen), felt),
        )
        for (start, end), seen in sorted(pairs.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def top_paths(
    found: Iterable[Record],
    gap: timedelta,
    since: datetime,
    until: datetime,
    depth: int,
    top: int,
    label: Callable[[Record], list[str]],
) -> list[tuple[Any, ...]]:
    """Paths by number of journeys, the rest added up."""
    began = [item for item in journeys(found, gap) if since <= item["started_at"] < until]
    by_path = defaultdict(list)
    for journey in began:
        path = label(journey)
        shown = path if depth == 0 else path[:depth]
        by_path[" > ".join(shown + ["…"] * (len(path) > len(shown)))].append(journey)
    ranked = sorted(by_path.items(), key=lambda item: (-len(item[1]), item[0].encode()))
    kept = len(ranked) if top == 0 else top
    rows = [(path, 1, taken) for path, taken in ranked[:kept]]
    rest = [taken for _, taken in ranked[kept:]]
    if rest:
        rows.append(("(other)", len(rest), [journey for taken in rest for journey in taken]))
    return [
        (
            path,
            paths,
            len(taken),
            len({journey["customer_key"] for journey in taken}),
            len(taken) / len(began),
            median(journey["duration_seconds"] for journey in taken),
        )
        for path, paths, taken in rows
    ]


def touchpoint_map(
    found: list[Record],
    since: datetime,
    until: datetime,
    known: tuple[list[str], list[str], dict[str, str]],
    felt: Felt,
) -> list[tuple[Any, ...]]:
    """Segment by stage; ``known`` are the catalog's segments, stages and owners."""
    segments, stages, owners = known
    segment = segments_of(found)
    cells = defaultdict(list)
    for event in found:
        if since <= event["occurred_at"] < until:
            cells[segment[event["customer_key"]], event["stage"]].append(event)
    rows = segments + sorted({key[0] for key in cells} - set(segments))
    columns = stages + sorted({key[1] for key in cells} - set(stages))
    return [
        (
            row,
            column,
            len(cells[row, column]),
            len({event["customer_key"] for event in cells[row, column]}),
            len({event["touchpoint"] for event in cells[row, column]}),
            _owners(cells[row, column], owners),
            *feelings(cells[row, column], felt),
        )
        for row in rows
        for column in columns
    ]


def segments_of(found: Iterable[Record]) -> dict[str, str]:
    """Each customer's latest segment, empty without any."""
    return {
        customer: ([""] + [step["segment"] for step in steps if step["segment"]])[-1]
        for customer, steps in histories(found).items()
    }


def _owners(used: list[Record], owners: dict[str, str]) -> list[str]:
    """Owners by how often their touchpoints were used."""
    times = Counter(owners[event["touchpoint"]] for event in used if event["touchpoint"] in owners)
    return sorted(times, key=lambda owner: (-times[owner], owner))
