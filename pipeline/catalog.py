"""Reading a catalog: TOML to a checked model, with errors that name file, line and fix.

Beyond the types of ``schemas.catalog`` it checks what only the whole file shows: names used twice,
references to things that are not there, and rules that can never match because earlier ones take
everything they could.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.resources import files
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from pipeline.classify import matches
from pipeline.errors import CatalogError, Problem
from pipeline.toml_lines import TomlLines, TomlPath, TomlSource, read_text
from schemas.catalog import REJECTED, UNCLASSIFIED, Catalog, Match
from schemas.entry import FIELDS, FREE_FIELDS, Condition, FieldPath, Version
from schemas.text import Label, Name

_Model = TypeVar("_Model", bound=BaseModel)

#: A rule spread over more combinations than this is only compared as a whole.
_MAX_CELLS = 10_000


@dataclass(frozen=True)
class LoadedCatalog:
    """A catalog that passed every check.

    Attributes:
        catalog: The model.
        version: The author's version and a digest of the content, stored with every row.
        path: Where it was read from.
    """

    catalog: Catalog
    version: str
    path: str

    @property
    def channels(self) -> frozenset[str]:
        """Return the ids of the declared channels."""
        return frozenset(channel.id for channel in self.catalog.channels)


def load(path: Path | None = None) -> LoadedCatalog:
    """Read and check a catalog.

    Args:
        path: The TOML file; the default catalog when None.

    Raises:
        CatalogError: With every problem found.
    """
    if path is None:
        name = "schemas/catalogs/default.toml"
        text = files("schemas").joinpath("catalogs/default.toml").read_text(encoding="utf-8")
    else:
        name = str(path)
        text = read_text(path)
    catalog, source = _read(name, text, Catalog)
    problems = sorted(_check(catalog, source), key=lambda problem: problem.line)
    if problems:
        raise CatalogError(problems)
    digest = hashlib.sha256(catalog.model_dump_json().encode()).hexdigest()
    return LoadedCatalog(catalog, f"{catalog.version}+{digest[:12]}", name)


def parse(name: str, text: str, model: type[_Model]) -> tuple[_Model, TomlLines]:
    """Parse TOML into a model.

    Args:
        name: Name of the file, for errors.
        text: Its content.
        model: The pydantic model it must fit.

    Raises:
        CatalogError: Every violation, with its line.
    """
    found, source = _read(name, text, model)
    return found, source.lines


def _read(name: str, text: str, model: type[_Model]) -> tuple[_Model, TomlSource]:
    source = TomlSource(name, text)
    try:
        return model.model_validate(source.data), source
    except ValidationError as error:
        errors = error.errors(include_url=False)
    unknown = [item["loc"][:-1] for item in errors if item["loc"][-1:] == ("[key]",)]
    found: dict[tuple[int, str], Problem] = {}
    for item in errors:
        below = any(item["loc"][: len(key)] == key for key in unknown)
        if below and item["loc"][-1] != "[key]":
            continue  # what stands below a name that is wrong itself
        new = _problem(source, item, model)
        place = (new.line, new.where)
        old = found.setdefault(place, new)
        if new.message not in old.message:  # a value that is none of several types
            found[place] = replace(old, message=f"{old.message}; or {new.message}")
    raise CatalogError(sorted(found.values(), key=lambda problem: problem.line))


def _problem(source: TomlSource, item: Any, model: type[BaseModel]) -> Problem:
    path = item["loc"]
    fix = ""
    if item["type"] == "extra_forbidden":
        message = "unknown key"
        near = get_close_matches(str(path[-1]), _keys(model), 1)
        fix = f"did you mean {near[0]!r}?" if near else "remove it"
    elif item["type"] == "missing":
        message, fix = "missing", f"add {path[-1]} = …"
    elif item["type"] == "string_pattern_mismatch" and item["ctx"]["pattern"] in _IN_WORDS:
        message, fix = _IN_WORDS[item["ctx"]["pattern"]]
        if item["ctx"]["pattern"] == _pattern(FieldPath):
            fix = _near_field(str(item["input"])) + fix
    else:
        message = item["msg"].removeprefix("Value error, ")
    where = source.where(path, is_missing=item["type"] == "missing")
    return Problem(source.name, source.lines.find(path), where, message, fix)


def _pattern(text: Any) -> str:
    """Return the regular expression of one of the text types of the contracts."""
    return str(next(each.pattern for each in get_args(text) if hasattr(each, "pattern")))


#: What is wrong, and the fix, where a text is not of the shape that its type asks for.
_IN_WORDS = {
    _pattern(Name): (
        "not a usable name",
        "use lower case letters, digits and _, a letter first, 64 characters at most",
    ),
    _pattern(Label): ("not one line of text", "write 1 to 128 characters, no line breaks"),
    _pattern(Version): (
        "not a usable version",
        "use letters, digits, '.', '_' and '-', a letter or digit first, 32 characters at most",
    ),
    _pattern(FieldPath): (
        "not a field that a rule can look at",
        f"use one of {', '.join(FIELDS)}, or "
        + ", ".join(f'"{field}.<name>"' for field in FREE_FIELDS)
        + " with letters, digits and _ in <name>",
    ),
}


def _near_field(name: str) -> str:
    """Return a question that guesses which field was meant; nothing where none is near."""
    head, _, rest = name.partition(".")
    if head in FREE_FIELDS and not rest:
        return f'write the whole path in quotes: where."{head}.<name>"; '
    free = get_close_matches(head, FREE_FIELDS, 1) if rest.isidentifier() else []
    near = get_close_matches(name, FIELDS, 1) or [f"{field}.{rest}" for field in free]
    return f"did you mean {near[0]!r}? " if near and near[0] != name else ""


def _keys(model: type[BaseModel]) -> list[str]:
    found: set[str] = set()
    for definition in model.model_json_schema().get("$defs", {}).values():
        found |= set(definition.get("properties", ()))
    return sorted(found | set(model.model_fields))


def _check(catalog: Catalog, source: TomlSource) -> Iterator[Problem]:
    reserved = {"channels": REJECTED, "stages": UNCLASSIFIED, "touchpoints": UNCLASSIFIED}
    for kind in ("channels", "needs", "stages", "segments", "facts", "touchpoints"):
        seen: set[str] = set()
        for number, entry in enumerate(getattr(catalog, kind)):
            at = (kind, number, "id")
            if entry.id in seen:
                yield source.problem(at, f"{entry.id!r} is there twice", "rename one")
            elif entry.id == reserved.get(kind):
                yield source.problem(at, f"{entry.id!r} is reserved", "rename it")
            seen.add(entry.id)
    for path, kind, value, known in _references(catalog):
        if value not in known:
            near = get_close_matches(value, known, 1)
            fix = f"did you mean {near[0]!r}?" if near else f"declare it under [[{kind}]]"
            yield source.problem(path, f"{value!r} is not one of the {kind}", fix)
    total = sum(stage.weight for stage in catalog.stages)
    if abs(total - 1) > 0.001:
        yield source.problem(("stages", 0, "weight"), f"the weights sum to {total:g}", "make it 1")
    yield from (source.problem(path, *text) for path, text in _shadowed(catalog))


def _references(
    catalog: Catalog,
) -> Iterator[tuple[TomlPath, str, str, list[str]]]:
    ids = {
        kind: [entry.id for entry in getattr(catalog, kind)]
        for kind in ("channels", "needs", "stages", "segments", "facts", "touchpoints")
    }
    for number, fact in enumerate(catalog.facts):
        for index, touchpoint in enumerate(fact.touchpoints):
            path = ("facts", number, "touchpoints", index)
            yield path, "touchpoints", touchpoint, ids["touchpoints"]
    for number, entry in enumerate(catalog.touchpoints):
        at = ("touchpoints", number)
        yield (*at, "stage"), "stages", entry.stage, ids["stages"]
        for index, need in enumerate(entry.needs):
            yield (*at, "needs", index), "needs", need, ids["needs"]
        for index, option in enumerate(entry.stage_after):
            yield (*at, "stage_after", index, "stage"), "stages", option.stage, ids["stages"]
            yield (*at, "stage_after", index, "fact"), "facts", option.fact, ids["facts"]
        for index, match in enumerate(entry.match):
            for place, channel in enumerate(match.channel):
                yield (*at, "match", index, "channel", place), "channels", channel, ids["channels"]
            segment = match.where.get("segment")
            if segment is not None and catalog.segments:  # none declared: any may come
                for wanted in segment.one_of or ():
                    here = (*at, "match", index, "where", "segment")
                    yield here, "segments", str(wanted), ids["segments"]


def _shadowed(
    catalog: Catalog,
) -> Iterator[tuple[TomlPath, tuple[str, str]]]:
    earlier: list[tuple[str, Match]] = []
    for number, touchpoint in enumerate(catalog.touchpoints):
        for index, match in enumerate(touchpoint.match):
            takers: list[str] = []
            for cell in _cells(match):
                taker = next((owner for owner, rule in earlier if _covers(rule, cell)), None)
                if taker is None:
                    break
                takers.append(taker)
            else:
                owners = ", ".join(dict.fromkeys(takers))
                yield (
                    ("touchpoints", number, "match", index),
                    (
                        f"can never match: earlier rules of {owners} take everything it could",
                        "move it above them or narrow them",
                    ),
                )
            earlier.append((touchpoint.id, match))


def _cells(match: Match) -> Iterable[Match]:
    """Spread a rule over its listed values: it is shadowed when each combination is."""
    listed = {path: c.one_of for path, c in match.where.items() if c.one_of is not None}
    actions = [[action] for action in match.action] if match.action is not None else [None]
    if len(match.channel) * len(actions) * prod(map(len, listed.values())) > _MAX_CELLS:
        return [match]
    cells = []
    for values in product(*listed.values()):
        where = dict(match.where)
        for path, value in zip(listed, values, strict=True):
            where[path] = where[path].model_copy(update={"one_of": [value]})
        for channel, action in product(match.channel, actions):
            cells.append(
                match.model_copy(update={"channel": [channel], "action": action, "where": where})
            )
    return cells


def _covers(rule: Match, cell: Match) -> bool:
    """Whether everything that fits ``cell`` also fits ``rule``."""
    if not set(cell.channel) <= set(rule.channel):
        return False
    if rule.action is not None and (
        cell.action is None or not set(cell.action) <= set(rule.action)
    ):
        return False
    return all(
        path in cell.where and _implies(cell.where[path], wanted)
        for path, wanted in rule.where.items()
    )


def _implies(given: Condition, wanted: Condition) -> bool:
    """Whether a value that meets ``given`` always meets ``wanted``."""
    if given.one_of is not None:
        return all(matches(wanted, value) for value in given.one_of)
    present = given.exists or given.prefix is not None or given.min is not None
    present = present or given.max is not None
    if wanted.exists is not None and (
        (wanted.exists and not present) or (not wanted.exists and given.exists is not False)
    ):
        return False
    if wanted.one_of is not None:
        return False
    if wanted.prefix is not None and not (given.prefix or "").startswith(wanted.prefix):
        return False
    if wanted.min is not None and (given.min is None or given.min < wanted.min):
        return False
    return wanted.max is None or (given.max is not None and given.max <= wanted.max)
