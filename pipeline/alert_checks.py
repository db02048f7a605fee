"""What is wrong with routes and destinations, beyond the types of their model.

Names used twice and names of nothing: else a pain would reach nobody, and nobody would know.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.rule_checks import Finding
from pipeline.toml_lines import TomlPath
from pipeline.toml_model import near
from schemas.alerts import Route
from schemas.catalog import UNCLASSIFIED, Catalog
from schemas.rules import STRIKES


def problems(catalog: Catalog) -> Iterator[Finding]:
    """Yield what is wrong with a catalog's routes and destinations.

    Args:
        catalog: With the rules, owners, touchpoints and calendars that routes name.
    """
    for part in ("destinations", "routes"):
        seen: set[str] = set()
        for number, entry in enumerate(getattr(catalog, part)):
            if entry.id in seen:
                yield (part, number, "id"), (f"{entry.id!r} is there twice", "rename one")
            seen.add(entry.id)
    known = _known(catalog)
    for number, route in enumerate(catalog.routes):
        at: TomlPath = ("routes", number)
        for key, kind in _NAMED:
            for index, name in enumerate(getattr(route, key) or ()):
                yield from _missing((*at, key, index), kind, name, known)
        yield from _never(at, route, catalog)
        if route.hours is not None:
            yield from _missing((*at, "hours"), "calendars", route.hours, known)
        if route.escalate is not None:
            for index, name in enumerate(route.escalate.to):
                yield from _missing((*at, "escalate", "to", index), "destinations", name, known)


def _never(at: TomlPath, route: Route, catalog: Catalog) -> Iterator[Finding]:
    """Yield the rules that a route names though it never sees their moments."""
    kinds = {rule.id: rule.kind for rule in catalog.rules}
    if catalog.strikes is not None:
        kinds[STRIKES] = "pain"
    for index, name in enumerate(route.rule or ()):
        kind = kinds.get(name, route.kind)
        if kind != route.kind:
            message = f"{name!r} finds moments of {kind}, this route takes those of {route.kind}"
            yield (*at, "rule", index), (message, f'a route of its own, with kind = "{kind}"')


#: Keys of a route that name things, and where those are declared.
_NAMED = (
    ("rule", "rules"),
    ("owner", "owners"),
    ("touchpoint", "touchpoints"),
    ("channel", "channels"),
    ("segment", "segments"),
    ("to", "destinations"),
)


def _known(catalog: Catalog) -> dict[str, list[str]]:
    owners = {entry.owner for entry in (*catalog.touchpoints, *catalog.rules) if entry.owner}
    strikes = [] if catalog.strikes is None else [STRIKES]
    if catalog.strikes is not None:
        owners.add(catalog.strikes.owner)
    parts = ("touchpoints", "channels", "segments", "calendars", "destinations")
    return {
        **{part: [entry.id for entry in getattr(catalog, part)] for part in parts},
        "rules": [*(rule.id for rule in catalog.rules), *strikes],
        "owners": sorted(owners),
    }


def _missing(
    path: TomlPath, kind: str, name: str, known: dict[str, list[str]]
) -> Iterator[Finding]:
    if name in known[kind] or (kind == "touchpoints" and name == UNCLASSIFIED):
        return
    if kind == "segments" and not known[kind]:  # none declared: any may come
        return
    declare = "name one that a rule or touchpoint has" if kind == "owners" else f"[[{kind}]]"
    fix = near(name, known[kind]) or (
        declare if kind == "owners" else f"declare it under {declare}"
    )
    yield path, (f"{name!r} is not one of the {kind}", fix)
