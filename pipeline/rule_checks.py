"""What is wrong with promises and the rules that find moments, beyond the types of their model.

Names used twice, references to things that are not there, rules over moments of rules over moments,
and patterns that no interaction can ever fit: else such a rule would be silent for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.coverage import narrowed, takers_of
from pipeline.toml_lines import TomlPath
from pipeline.toml_model import near
from schemas.catalog import UNCLASSIFIED, Catalog, Match
from schemas.entry import Condition
from schemas.patterns import MomentRef, Pattern
from schemas.rules import STRIKES, Absence, Change, Rate, RuleBase, patterns_of, placeholders

#: A place, what is wrong there, and the fix.
Finding = tuple[TomlPath, tuple[str, str]]


def problems(catalog: Catalog) -> Iterator[Finding]:
    """Yield what is wrong with a catalog's calendars, promises and rules.

    Args:
        catalog: With its touchpoints; those are checked elsewhere.
    """
    yield from _names(catalog)
    known = _Known(catalog)
    for number, promise in enumerate(catalog.promises):
        at: TomlPath = ("promises", number)
        yield from known.missing((*at, "calendar"), "calendars", promise.calendar)
        for path, pattern in _patterns(at, promise):
            if pattern.moment is not None:
                yield (
                    (*path, "moment"),
                    ("a promise looks at interactions, not at moments", "name the interactions"),
                )
            yield from known.pattern(path, pattern)
    for number, rule in enumerate(catalog.rules):
        at = ("rules", number)
        for key in ("calendar", "promise"):
            yield from known.missing((*at, key), f"{key}s", getattr(rule, key, None))
        for path, pattern in _patterns(at, rule):
            yield from known.pattern(path, pattern)
            if pattern.moment is not None:
                yield from _over_moments(catalog, rule, (*path, "moment"), pattern.moment)
        yield from _of_one_rule(at, rule)


def _names(catalog: Catalog) -> Iterator[Finding]:
    for kind in ("calendars", "promises", "rules"):
        seen: set[str] = set()
        for number, entry in enumerate(getattr(catalog, kind)):
            if entry.id in seen:
                yield (kind, number, "id"), (f"{entry.id!r} is there twice", "rename one")
            elif kind == "rules" and entry.id == STRIKES:
                yield (
                    (kind, number, "id"),
                    (f"{entry.id!r} is reserved", "rename it; [strikes] says when it is found"),
                )
            seen.add(entry.id)


def _patterns(at: TomlPath, entry: Any) -> Iterator[tuple[TomlPath, Pattern]]:
    for key, patterns in patterns_of(entry):
        for index, pattern in enumerate(patterns):
            yield (*at, key, index), pattern


class _Known:
    """What a catalog declares, to look names up in.

    Args:
        catalog: The catalog.
    """

    def __init__(self, catalog: Catalog) -> None:
        kinds = ("channels", "needs", "stages", "segments", "facts", "touchpoints")
        self._ids = {
            kind: [entry.id for entry in getattr(catalog, kind)]
            for kind in (*kinds, "calendars", "promises")
        }
        for kind in ("touchpoints", "stages"):
            self._ids[kind].append(UNCLASSIFIED)
        self._stages = {
            entry.id: {entry.stage, *(option.stage for option in entry.stage_after)}
            for entry in catalog.touchpoints
        }
        self._matches = [
            (entry.id, match) for entry in catalog.touchpoints for match in entry.match
        ]
        self._places: dict[str, list[tuple[int, Match]]] = {}
        for place, (name, match) in enumerate(self._matches):
            self._places.setdefault(name, []).append((place, match))

    def missing(self, path: TomlPath, kind: str, name: str | None) -> Iterator[Finding]:
        """Yield the problem with a name that is not declared."""
        if name is not None and name not in self._ids[kind]:
            fix = near(name, self._ids[kind]) or f"declare it under [[{kind}]]"
            yield path, (f"{name!r} is not one of the {kind}", fix)

    def pattern(self, path: TomlPath, pattern: Pattern) -> Iterator[Finding]:
        """Yield what is wrong with one pattern over interactions."""
        found = list(self._references(path, pattern))
        yield from found
        if pattern.moment is None and not found:
            yield from self._impossible(path, pattern)

    def _references(self, path: TomlPath, pattern: Pattern) -> Iterator[Finding]:
        for key in ("touchpoint", "channel", "need", "stage"):
            for index, name in enumerate(getattr(pattern, key) or ()):
                yield from self.missing((*path, key, index), f"{key}s", name)
        if self._ids["segments"]:  # none declared: any may come
            for index, name in enumerate(pattern.segment or ()):
                yield from self.missing((*path, "segment", index), "segments", name)
            wanted = pattern.where.get("segment")
            for value in (wanted.one_of if wanted is not None else None) or ():
                yield from self.missing((*path, "where", "segment"), "segments", str(value))
        if pattern.customer is not None:
            yield from self.missing((*path, "customer", "fact"), "facts", pattern.customer.fact)

    def _impossible(self, path: TomlPath, pattern: Pattern) -> Iterator[Finding]:
        """Yield the listed values without which the pattern would find as much."""
        touchpoints = pattern.touchpoint or self._touchpoints_of(pattern)
        if not self._can_match(pattern, touchpoints):
            yield path, ("can never match", self._why(pattern, touchpoints))
            return
        for key in ("touchpoint", "channel", "action"):
            values: Sequence[str] = getattr(pattern, key) or ()
            for index, value in enumerate(values if len(values) > 1 else ()):
                one = pattern.model_copy(update={key: [value]})
                wanted = [value] if key == "touchpoint" else touchpoints
                if not self._can_match(one, wanted):
                    fix = self._why(one, wanted)
                    yield (*path, key, index), (f"{value!r} can never match here", fix)

    def _touchpoints_of(self, pattern: Pattern) -> list[str]:
        """Return every touchpoint; and what none matches, unless an action is named."""
        named = pattern.action is not None
        return [name for name in self._ids["touchpoints"] if not named or name != UNCLASSIFIED]

    def _can_match(self, pattern: Pattern, touchpoints: Sequence[str]) -> bool:
        if UNCLASSIFIED in touchpoints and UNCLASSIFIED in (pattern.stage or [UNCLASSIFIED]):
            return True
        wanted = Match.model_construct(
            channel=pattern.channel or [], action=pattern.action, where=_where(pattern)
        )
        for name in touchpoints:
            if name == UNCLASSIFIED:
                continue
            if pattern.stage is not None and not self._stages[name] & set(pattern.stage):
                continue
            for place, match in self._places[name]:
                both = narrowed(match, wanted)
                if both is not None and not takers_of(both, self._matches[:place]):
                    return True
        return False

    def _why(self, pattern: Pattern, touchpoints: Sequence[str]) -> str:
        """Return how to mend a pattern that nothing fits."""
        known = {
            action
            for touchpoint, match in self._matches
            for action in match.action or ()
            if touchpoint in touchpoints
        }
        unknown = [action for action in pattern.action or () if action not in known]
        for action in unknown:
            question = near(action, sorted(known))
            if question:
                return question
        if unknown and pattern.touchpoint is None:
            return (
                f"no touchpoint has the action {unknown[0]!r}: add a rule for it to one, or "
                f'touchpoint = "{UNCLASSIFIED}" here'
            )
        if pattern.touchpoint is not None:
            names = ", ".join(pattern.touchpoint)
            return f"compare with the rules under match of {names}; earlier ones come first"
        return "compare with the rules under match of the touchpoints"


def _where(pattern: Pattern) -> dict[str, Condition]:
    """Return the conditions of a pattern on fields of the interaction."""
    where = dict(pattern.where)
    if pattern.direction is not None:
        where.setdefault("direction", Condition(one_of=[pattern.direction]))
    if pattern.segment is not None:
        where.setdefault("segment", Condition(one_of=list(pattern.segment)))
    return where


def _over_moments(
    catalog: Catalog, rule: RuleBase, path: TomlPath, wanted: MomentRef
) -> Iterator[Finding]:
    """Yield what is wrong with a pattern that stands for moments of other rules."""
    if rule.per != "customer":
        yield path, (f"a rule over moments cannot be per {rule.per}", 'leave out "per"')
    simple = {each.id: each for each in catalog.rules if not _looks_at_moments(each)}
    over = {each.id for each in catalog.rules} - set(simple)
    for index, name in enumerate(wanted.rule or ()):
        here = (*path, "rule", index)
        if name in over or name == STRIKES:
            yield (
                here,
                (f"{name!r} is found from moments itself", "name rules that look at interactions"),
            )
        elif name not in simple:
            fix = near(name, simple) or "declare it under [[rules]]"
            yield here, (f"{name!r} is not one of the rules", fix)
        elif not _can_be(simple[name], wanted):
            text = (
                f"{wanted.kind or ''} {'resolved' if wanted.status == 'resolved' else ''}".strip()
            )
            yield here, (f"{name!r} never finds {text} moments", "remove it")
    if wanted.rule is None and not any(_can_be(each, wanted) for each in simple.values()):
        yield path, ("can never match", "no rule finds such moments")


def _can_be(rule: RuleBase, wanted: MomentRef) -> bool:
    """Whether a moment of the rule can be of the kind and status that are asked for."""
    if wanted.kind is not None and rule.kind != wanted.kind:
        return False
    ends = bool(rule.resolved_by) or isinstance(rule, (Absence, Rate))
    return wanted.status == "open" or (ends and rule.kind == "pain")


def _looks_at_moments(rule: RuleBase) -> bool:
    return any(
        pattern.moment is not None for _, patterns in patterns_of(rule) for pattern in patterns
    )


def _of_one_rule(at: TomlPath, rule: Any) -> Iterator[Finding]:
    """Yield what is wrong with a rule whatever else the catalog holds."""
    same = getattr(rule, "same", None)
    used = placeholders(rule.text)
    promised = getattr(rule, "promise", None) is not None
    if "due_at" in used and not isinstance(rule, Absence) and not promised:
        yield (*at, "text"), (f"nothing is due in a rule of type {rule.type}", "leave out {due_at}")
    if "subject" in used and rule.per == "customer" and not promised and same is None:
        yield (
            (*at, "text"),
            ("{subject} is empty in a rule per customer", "write {customer}, or set per"),
        )
    if isinstance(rule, Change):
        patterns = [*rule.when, *rule.then]
        channels = {name for pattern in patterns for name in pattern.channel or ()}
        if len(channels) == 1 and all(pattern.channel for pattern in patterns):
            yield at, ("can never match: all on one channel", "name another channel, or none")
