"""Reading a catalog: TOML to a checked model, with errors that name file, line and fix.

Beyond the types of ``schemas.catalog`` it checks what only the whole file shows: names used twice,
references to things that are not there, and rules that can never match because earlier ones take
everything they could. ``pipeline.rule_checks`` does so for promises and for rules of moments,
``pipeline.alert_checks`` for routes and destinations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pipeline import alert_checks, rule_checks
from pipeline.coverage import shadowed
from pipeline.errors import CatalogError, Problem
from pipeline.toml_lines import TomlPath, TomlSource, read_text
from pipeline.toml_model import near, read_model
from schemas.catalog import REJECTED, UNCLASSIFIED, Catalog

#: Parts of a catalog whose entries have an id of their own.
_NAMED = ("channels", "needs", "stages", "segments", "facts", "touchpoints", "outcomes")


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
    catalog, source = read(path)
    return checked(catalog, source.name, source.problem)


def read(path: Path | None = None) -> tuple[Catalog, TomlSource]:
    """Read a catalog that is then to be ``checked``; ``load`` has argument and error."""
    if path is None:
        name = "schemas/catalogs/default.toml"
        text = files("schemas").joinpath("catalogs/default.toml").read_text(encoding="utf-8")
    else:
        name = str(path)
        text = read_text(path)
    return read_model(name, text, Catalog)


def checked(
    catalog: Catalog, name: str, problem: Callable[[TomlPath, str, str], Problem]
) -> LoadedCatalog:
    """Check what only the whole catalog shows.

    Args:
        catalog: The catalog.
        name: Where it was read from.
        problem: Says where in a file a value of the catalog stands, what is wrong, and the fix.

    Raises:
        CatalogError: With every problem found.
    """
    problems = [problem(path, *text) for path, text in _check(catalog)]
    if problems:
        raise CatalogError(sorted(problems, key=lambda each: (each.path, each.line)))
    digest = hashlib.sha256(catalog.model_dump_json().encode()).hexdigest()
    return LoadedCatalog(catalog, f"{catalog.version}+{digest[:12]}", name)


def _check(catalog: Catalog) -> Iterator[rule_checks.Finding]:
    reserved = {"channels": REJECTED, "stages": UNCLASSIFIED, "touchpoints": UNCLASSIFIED}
    for kind in _NAMED:
        seen: set[str] = set()
        for number, entry in enumerate(getattr(catalog, kind)):
            at: TomlPath = (kind, number, "id")
            if entry.id in seen:
                yield at, (f"{entry.id!r} is there twice", "rename one")
            elif entry.id == reserved.get(kind):
                yield at, (f"{entry.id!r} is reserved", "rename it")
            seen.add(entry.id)
    for path, kind, value, known in _references(catalog):
        if value not in known:
            fix = near(value, known) or f"declare it under [[{kind}]]"
            yield path, (f"{value!r} is not one of the {kind}", fix)
    total = sum(stage.weight for stage in catalog.stages)
    if abs(total - 1) > 0.001:
        yield ("stages", 0, "weight"), (f"the weights sum to {total:g}", "make it 1")
    yield from shadowed(catalog)
    yield from rule_checks.problems(catalog)
    yield from alert_checks.problems(catalog)


def _references(
    catalog: Catalog,
) -> Iterator[tuple[TomlPath, str, str, list[str]]]:
    ids = {kind: [entry.id for entry in getattr(catalog, kind)] for kind in _NAMED}
    for part in ("facts", "outcomes"):
        for number, reached in enumerate(getattr(catalog, part)):
            for index, touchpoint in enumerate(reached.touchpoints):
                path = (part, number, "touchpoints", index)
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
