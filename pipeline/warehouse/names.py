"""Whether the names in a question are those of anything: one that is misspelt would find nothing.

A touchpoint, channel or rule is known when the current catalog has it, or when stored rows do: what
an earlier catalog classified can still be asked for, and segments come from producers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client

from pipeline.errors import RejectedInput
from pipeline.warehouse.client import explained
from pipeline.warehouse.query_files import NamedQuery

#: What a parameter of a named query names, by its name; ``steps`` of a funnel are what ``by`` says.
KINDS = {
    "segment": "segment",
    "channel": "channel",
    "stage": "stage",
    "touchpoint": "touchpoint",
    "outcome": "outcome",
    "owner": "owner",
    "rule": "rule",
    "at": "touchpoint",
    "goal": "outcome",
    "start_outcome": "outcome",
}
#: Parameters that are texts and name none of these.
FREE = frozenset(["customer", "destination"])

#: What is right although no catalog has it.
_ALWAYS = {
    "segment": {"(none)"},
    "outcome": {"(none)"},
    "stage": {"unclassified"},
    "touchpoint": {"unclassified"},
}


class Named(NamedTuple):
    """A name in a question.

    Attributes:
        parameter: What the person wrote it behind.
        kind: What it names, one of the values of ``KINDS``.
        name: The name.
    """

    parameter: str
    kind: str
    name: str


def named_in(query: NamedQuery, bound: Mapping[str, Any]) -> list[Named]:
    """Return the names in a question.

    Args:
        query: The query.
        bound: The values of all its parameters.

    Raises:
        RejectedInput: A list of steps has none.
    """
    found = [
        Named(parameter.name, KINDS[parameter.name], bound[parameter.name])
        for parameter in query.parameters
        if parameter.name in KINDS
    ]
    if bound.get("steps"):
        steps = [step.strip() for step in bound["steps"].split(",")]
        if not any(steps):
            raise RejectedInput("parameter steps names no step")
        found += [Named("steps", bound["by"], step) for step in steps]
    return [named for named in found if named.name]


def check_names(client: Client, asked: Iterable[Named]) -> None:
    """Make sure that all names are known, as far as anything is known of their kind.

    Args:
        client: Client on a migrated database.
        asked: The names.

    Raises:
        RejectedInput: One is not known; says which are.
        RetryableError: ClickHouse does not answer for now.
        SchemaMismatch: The tables are not there.
    """
    doubtful = [each for each in asked if each.name not in _ALWAYS.get(each.kind, ())]
    known: dict[str, list[str]] = {}
    for source in ("known", "occurring"):
        if not doubtful:
            return
        for kind, name in _names(client, source, {each.kind for each in doubtful}):
            known.setdefault(kind, []).append(name)
        doubtful = [each for each in doubtful if each.name not in known.get(each.kind, ())]
    for parameter, kind, name in doubtful:
        there = list(dict.fromkeys(known.get(kind, ())))
        if there:  # of what nothing is stored yet, nothing can be misspelt
            raise RejectedInput(f"parameter {parameter}: no {kind} {name!r} {nearest(name, there)}")


def nearest(name: str, known: list[str]) -> str:
    """Return which of the known names was meant, as far as that can be told."""
    near = get_close_matches(name, known, 3, 0.6)
    return f"(did you mean {' or '.join(near)}?)" if near else f"(there are: {', '.join(known)})"


def _names(client: Client, source: str, kinds: set[str]) -> list[tuple[str, str]]:
    with explained():
        rows = client.query(_sql(source), parameters={"kinds": sorted(kinds)}).result_rows
    return [(kind, name) for kind, name in rows]


@cache
def _sql(name: str) -> str:
    return files("schemas").joinpath(f"sql/names/{name}.sql").read_text(encoding="utf-8")
