"""Reading a catalog: TOML to a checked model, with errors that name file, line and fix.

Beyond the types of ``schemas.catalog`` it checks what only the whole file shows: names used twice,
references to things that are not there, and rules that can never match because earlier ones take
everything they could.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.classify import matches
from pipeline.errors import CatalogError, Problem
from pipeline.toml_lines import TomlLines
from schemas.catalog import UNCLASSIFIED, Catalog, Condition, Match

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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
    catalog, lines = parse(name, text, Catalog)
    problems = sorted(_check(catalog, name, lines), key=lambda problem: problem.line)
    if problems:
        raise CatalogError(problems)
    digest = hashlib.sha256(catalog.model_dump_json().encode()).hexdigest()
    return LoadedCatalog(catalog, f"{catalog.version}+{digest[:12]}", name)


def read_text(path: Path) -> str:
    """Return the text of a file that a person wrote.

    Raises:
        CatalogError: It cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogError([Problem(str(path), 0, "", error.strerror or str(error))]) from None
    except UnicodeDecodeError as error:
        raise CatalogError(
            [Problem(str(path), 0, "", f"not UTF-8 at byte {error.start}", "save it as UTF-8")]
        ) from None


def parse(name: str, text: str, model: type[_Model]) -> tuple[_Model, TomlLines]:
    """Parse TOML into a model.

    Args:
        name: Name of the file, for errors.
        text: Its content.
        model: The pydantic model it must fit.

    Raises:
        CatalogError: Every violation, with its line.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        line = int(message.rsplit("at line ", 1)[1].split(",")[0]) if "at line " in message else 0
        raise CatalogError([Problem(name, line, "", f"not valid TOML: {message}")]) from None
    lines = TomlLines(text)
    try:
        return model.model_validate(data), lines
    except ValidationError as error:
        problems = [_problem(name, lines, item, model) for item in error.errors(include_url=False)]
        raise CatalogError(sorted(problems, key=lambda problem: problem.line)) from None


def _problem(name: str, lines: TomlLines, item: Any, model: type[BaseModel]) -> Problem:
    path = item["loc"]
    where = ".".join(str(part) for part in path)
    fix = ""
    if item["type"] == "extra_forbidden":
        message = "unknown key"
        near = get_close_matches(str(path[-1]), _keys(model), 1)
        fix = f"did you mean {near[0]!r}?" if near else "remove it"
    elif item["type"] == "missing":
        message, fix = "missing", f"add {path[-1]} = …"
    else:
        message = item["msg"].removeprefix("Value error, ")
    return Problem(name, lines.find(path), where, message, fix)


def _keys(model: type[BaseModel]) -> list[str]:
    found: set[str] = set()
    for definition in model.model_json_schema().get("$defs", {}).values():
        found |= set(definition.get("properties", ()))
    return sorted(found | set(model.model_fields))


def _check(catalog: Catalog, name: str, lines: TomlLines) -> Iterator[Problem]:
    def problem(path: tuple[str | int, ...], message: str, fix: str = "") -> Problem:
        where = ".".join(str(part) for part in path)
        return Problem(name, lines.find(path), where, message, fix)

    for kind in ("channels", "needs", "stages", "segments", "facts", "touchpoints"):
        seen: dict[str, int] = {}
        for number, entry in enumerate(getattr(catalog, kind)):
            if entry.id in seen:
                yield problem((kind, number, "id"), f"{entry.id!r} is there twice", "rename one")
            seen.setdefault(entry.id, number)
        if kind in ("stages", "touchpoints") and UNCLASSIFIED in seen:
            yield problem(
                (kind, seen[UNCLASSIFIED], "id"), f"{UNCLASSIFIED!r} is reserved", "rename it"
            )
    for path, kind, value, known in _references(catalog):
        if value not in known:
            near = get_close_matches(value, known, 1)
            fix = f"did you mean {near[0]!r}?" if near else f"declare it under [[{kind}]]"
            yield problem(path, f"{value!r} is not one of the {kind}", fix)
    total = sum(stage.weight for stage in catalog.stages)
    if abs(total - 1) > 0.001:
        yield problem(("stages", 0, "weight"), f"the weights sum to {total:g}", "make it 1")
    yield from (problem(path, *text) for path, text in _shadowed(catalog))


def _references(
    catalog: Catalog,
) -> Iterator[tuple[tuple[str | int, ...], str, str, list[str]]]:
    ids = {
        kind: [entry.id for entry in getattr(catalog, kind)]
        for kind in ("channels", "needs", "stages", "facts", "touchpoints")
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
                here = (*at, "match", index, "channel", place)
                yield here, "channels", channel, ids["channels"]


def _shadowed(
    catalog: Catalog,
) -> Iterator[tuple[tuple[str | int, ...], tuple[str, str]]]:
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
