"""Which interactions a touchpoint rule can still get, and which conditions exclude each other.

Decided from the rules alone, so that a rule without effect is found before the first interaction.
Where it cannot be decided, a rule counts as able to match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import prod

from pipeline.classify import matches
from pipeline.toml_lines import TomlPath
from schemas.catalog import Catalog, Match
from schemas.entry import Condition

#: A rule spread over more combinations than this is only compared as a whole.
_MAX_CELLS = 10_000


def shadowed(catalog: Catalog) -> Iterator[tuple[TomlPath, tuple[str, str]]]:
    """Yield the touchpoint rules that can never match, with what is wrong and the fix."""
    earlier: list[tuple[str, Match]] = []
    for number, touchpoint in enumerate(catalog.touchpoints):
        for index, match in enumerate(touchpoint.match):
            takers = takers_of(match, earlier)
            if takers:
                owners = ", ".join(dict.fromkeys(takers))
                yield (
                    ("touchpoints", number, "match", index),
                    (
                        f"can never match: earlier rules of {owners} take everything it could",
                        "move it above them or narrow them",
                    ),
                )
            earlier.append((touchpoint.id, match))


def takers_of(match: Match, earlier: Sequence[tuple[str, Match]]) -> list[str]:
    """Return whose earlier rules together take everything a rule could; none if some is left.

    Args:
        match: The rule.
        earlier: The rules before it, with the touchpoints they belong to.
    """
    takers: list[str] = []
    for cell in cells(match):
        taker = next((owner for owner, rule in earlier if covers(rule, cell)), None)
        if taker is None:
            return []
        takers.append(taker)
    return takers


def cells(match: Match) -> Iterable[Match]:
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


def covers(rule: Match, cell: Match) -> bool:
    """Whether everything that fits ``cell`` also fits ``rule``."""
    if not set(cell.channel) <= set(rule.channel):
        return False
    if rule.action is not None and (
        cell.action is None or not set(cell.action) <= set(rule.action)
    ):
        return False
    return all(
        path in cell.where and implies(cell.where[path], wanted)
        for path, wanted in rule.where.items()
    )


def implies(given: Condition, wanted: Condition) -> bool:
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


def narrowed(match: Match, wanted: Match) -> Match | None:
    """Return the rule that matches what both rules do; None where nothing can.

    Args:
        match: A rule.
        wanted: Another one; without channels it is on any.
    """
    channels = [name for name in match.channel if not wanted.channel or name in wanted.channel]
    actions = match.action if wanted.action is None else wanted.action
    if match.action is not None and wanted.action is not None:
        actions = [name for name in wanted.action if name in match.action]
    if not channels or actions == []:
        return None
    where = dict(match.where)
    for path, condition in wanted.where.items():
        both = _both(where[path], condition) if path in where else condition
        if both is None:
            return None
        where[path] = both
    return match.model_copy(update={"channel": channels, "action": actions, "where": where})


def _both(one: Condition, other: Condition) -> Condition | None:
    """Return a condition that is met where both are, or the narrower one; None where none can."""
    for given, wanted in ((one, other), (other, one)):
        if given.one_of is not None:
            values = [value for value in given.one_of if matches(wanted, value)]
            return given.model_copy(update={"one_of": values}) if values else None
    if _needs_value(one) and other.exists is False or _needs_value(other) and one.exists is False:
        return None
    prefixes = [each.prefix for each in (one, other) if each.prefix is not None]
    if len(prefixes) == 2 and not (
        prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0])
    ):
        return None
    low = max((each.min for each in (one, other) if each.min is not None), default=None)
    high = min((each.max for each in (one, other) if each.max is not None), default=None)
    if low is not None and high is not None and low > high:
        return None
    if prefixes and (low is not None or high is not None):
        return None  # a text is no number
    return other if implies(other, one) else one


def _needs_value(condition: Condition) -> bool:
    """Whether a condition can only be met where there is a value."""
    return bool(condition.exists) or any(
        each is not None
        for each in (condition.one_of, condition.prefix, condition.min, condition.max)
    )
