"""Reading what is to be tried on history: a whole catalog, or rules that are laid over one.

A file of rules is checked as the part of the catalog that it would be; what is wrong is said with
the file and the line where it stands, be that in the rules or in the catalog below them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import catalog as catalogs
from pipeline.catalog import LoadedCatalog
from pipeline.errors import CatalogError, Problem
from pipeline.moments.rules import refers
from pipeline.toml_lines import TomlPath, parse_text, read_text
from pipeline.toml_model import read_model
from schemas.catalog import Catalog
from schemas.patterns import MomentRef
from schemas.rule_file import RuleFile
from schemas.rules import STRIKES, RuleBase, patterns_of

#: What a file with any of these is: a catalog.
_WHOLE = frozenset(
    ("journey", "channels", "needs", "stages", "segments", "facts", "touchpoints", "outcomes")
)
_LISTS = ("calendars", "promises", "rules")


@dataclass(frozen=True)
class Scope:
    """Which rules and promises are looked at.

    Attributes:
        rules: Their ids; with those whose moments depend on them. None for all, also for those
            that are no more.
        promises: The same of promises.
        given: Ids of the rules that were given, not only dependent; None for all.
    """

    rules: frozenset[str] | None = None
    promises: frozenset[str] | None = None
    given: frozenset[str] | None = None

    def has_rule(self, rule: str) -> bool:
        """Return whether a rule is looked at."""
        return self.rules is None or rule in self.rules

    def has_promise(self, promise: str) -> bool:
        """Return whether a promise is looked at."""
        return self.promises is None or promise in self.promises

    def follows(self, rule: str) -> bool:
        """Return whether a rule is only looked at because it depends on others."""
        return self.given is not None and rule not in self.given


@dataclass(frozen=True)
class Trial:
    """What is to be tried.

    Attributes:
        loaded: The catalog to try, with the rules laid over it.
        scope: What of it.
    """

    loaded: LoadedCatalog
    scope: Scope


def load(path: Path | None, below: Path | None = None) -> Trial:
    """Read what is to be tried.

    Args:
        path: A whole catalog or a file of rules; None for the catalog below as it is.
        below: The catalog that rules are laid over; the default one when None.

    Raises:
        CatalogError: One of the files cannot be used; with every problem found.
    """
    if path is None:
        return Trial(catalogs.load(below), Scope())
    text = read_text(path)
    if not _WHOLE.isdisjoint(parse_text(str(path), text)):
        return Trial(catalogs.load(path), Scope())
    given, source = read_model(str(path), text, RuleFile)
    if not given.model_fields_set:
        message = "holds nothing to try"
        fix = "write [[rules]], [[promises]], [[calendars]], [strikes] or [trust]"
        raise CatalogError([Problem(str(path), 0, "", message, fix)])
    known, known_source = catalogs.read(below)
    catalogs.checked(known, known_source.name, known_source.problem)
    merged = _Merged(known, given)

    def problem(path: TomlPath, message: str, fix: str) -> Problem:
        is_given, place = merged.origin(path)
        return (source if is_given else known_source).problem(place, message, fix)

    loaded = catalogs.checked(merged.catalog, str(path), problem)
    return Trial(loaded, scope_of(known, merged.catalog, given))


class _Merged:
    """A catalog with rules laid over it, that knows where each entry is from."""

    def __init__(self, known: Catalog, given: RuleFile) -> None:
        update: dict[str, Any] = {
            name: getattr(given, name) for name in ("strikes", "trust") if getattr(given, name)
        }
        self._tables = set(update)
        self._origins: dict[str, list[tuple[bool, int]]] = {}
        for kind in _LISTS:
            update[kind], self._origins[kind] = _laid(getattr(known, kind), getattr(given, kind))
        self.catalog = known.model_copy(update=update)

    def origin(self, path: TomlPath) -> tuple[bool, TomlPath]:
        """Return whether a value was given with the rules, and its path in the file it is from."""
        kind, *rest = path
        if kind in self._origins and rest:
            is_given, place = self._origins[str(kind)][int(rest[0])]
            return is_given, (kind, place, *rest[1:])
        return kind in self._tables, path


def _laid(known: Sequence[Any], given: Sequence[Any]) -> tuple[list[Any], list[tuple[bool, int]]]:
    """Return entries with others laid over them by id, and where each is from.

    An id that is given twice is there twice, to be found wrong.
    """
    places = {entry.id: place for place, entry in enumerate(known)}
    entries, origins = list(known), [(False, place) for place in range(len(known))]
    for number, entry in enumerate(given):
        place = places.pop(entry.id, None)
        if place is None:
            entries.append(entry)
            origins.append((True, number))
        else:
            entries[place], origins[place] = entry, (True, number)
    return entries, origins


def scope_of(known: Catalog, merged: Catalog, given: RuleFile) -> Scope:
    """Return what can be found otherwise since rules were laid over a catalog.

    Those given; promises and rules with a calendar that was given, rules about such promises, rules
    over moments of any of these, and three strikes where one of them is of pain.
    """
    calendars = {each.id for each in given.calendars}
    promises = {each.id for each in given.promises}
    promises |= {each.id for each in merged.promises if each.calendar in calendars}
    own = {each.id for each in given.rules} | ({STRIKES} if given.strikes is not None else set())
    rules = set(own)
    for rule in merged.rules:
        if getattr(rule, "promise", None) in promises or (
            getattr(rule, "calendar", None) in calendars
        ):
            rules.add(rule.id)
    kinds: dict[str, set[str]] = {}
    for rule in (*known.rules, *merged.rules):
        kinds.setdefault(rule.id, set()).add(rule.kind)
    changed = {(kind, name) for name in rules for kind in kinds.get(name, ())}
    rules |= {rule.id for rule in merged.rules if _depends(rule, changed)}
    if merged.strikes is not None and any("pain" in kinds.get(name, ()) for name in rules):
        rules.add(STRIKES)
    return Scope(frozenset(rules), frozenset(promises), frozenset(own))


def _depends(rule: RuleBase, changed: set[tuple[str, str]]) -> bool:
    """Whether a rule looks at moments of any of these kinds and rules."""
    refs: list[MomentRef] = [
        pattern.moment
        for _, patterns in patterns_of(rule)
        for pattern in patterns
        if pattern.moment is not None
    ]
    return any(refers(ref, kind, name) for ref in refs for kind, name in changed)
