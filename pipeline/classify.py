"""Which touchpoint an interaction is, and what that says about the lifecycle stage.

The touchpoint depends on the interaction alone. The stage may also depend on what the customer did
before (a product page is consideration for a prospect and loyalty for somebody who bought), and
that can arrive later than the interaction it decides. So a row carries the stage at face value and
the alternatives with the facts they wait for; ``stage_of`` here and the view ``interactions`` in
the warehouse resolve them by the same rule, whatever order the rows arrived in
(docs/decisions/0003-stage-by-history.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.catalog import UNCLASSIFIED, Catalog, Match, StageAfter, Touchpoint
from schemas.entry import Condition

Event = Mapping[str, Any]
#: An instant with the event's id as tie-break: the order of a customer's interactions.
Moment = tuple[Any, str]


@dataclass(frozen=True)
class Classification:
    """What the catalog says about an interaction.

    Attributes:
        touchpoint: Identifier of the touchpoint, ``unclassified`` where no rule matched.
        need: The need it typically serves, empty where unclassified.
        stage: Lifecycle stage at face value.
        stage_after: Other stages, by what the customer did before; the first that applies wins.
        facts: What the customer has done by this interaction.
    """

    touchpoint: str
    need: str
    stage: str
    stage_after: tuple[StageAfter, ...]
    facts: tuple[str, ...]


NOTHING = Classification(UNCLASSIFIED, "", UNCLASSIFIED, (), ())

_Test = Callable[[Event], bool]
_Rule = tuple[tuple[_Test, ...], Classification]


class Classifier:
    """A catalog's rules, ready to be asked.

    Args:
        catalog: A validated catalog.
    """

    def __init__(self, catalog: Catalog) -> None:
        facts: dict[str, tuple[str, ...]] = {}
        for fact in catalog.facts:
            for name in fact.touchpoints:
                facts[name] = (*facts.get(name, ()), fact.id)
        self._rules: list[tuple[Match, tuple[_Test, ...], Classification]] = []
        for touchpoint in catalog.touchpoints:
            result = _classification(touchpoint, facts.get(touchpoint.id, ()))
            for match in touchpoint.match:
                tests = tuple(test_of(path, wanted) for path, wanted in match.where.items())
                self._rules.append((match, tests, result))
        self._candidates: dict[tuple[str, str], list[_Rule]] = {}

    def classify(self, event: Event) -> Classification:
        """Return what the first matching rule says.

        Args:
            event: A valid interaction as parsed from JSON.
        """
        key = (event["channel"], event["action"])
        candidates = self._candidates.get(key)
        if candidates is None:
            candidates = self._select(*key)
        for tests, result in candidates:
            for test in tests:
                if not test(event):
                    break
            else:
                return result
        return NOTHING

    def _select(self, channel: str, action: str) -> list[_Rule]:
        found = [
            (tests, result)
            for match, tests, result in self._rules
            if channel in match.channel and (match.action is None or action in match.action)
        ]
        if len(self._candidates) < 100_000:  # actions are open-ended: never grow without bound
            self._candidates[channel, action] = found
        return found


def stage_of(
    classification: Classification, moment: Moment, history: Mapping[str, Sequence[Moment]]
) -> str:
    """Return the lifecycle stage, given what the customer has done.

    Args:
        classification: The interaction's classification.
        moment: When it happened, with its event id.
        history: For each fact the moments that established it, in any order; later ones count for
            nothing.
    """
    for option in classification.stage_after:
        earlier = sum(1 for other in history.get(option.fact, ()) if other < moment)
        if earlier >= option.times:
            return option.stage
    return classification.stage


def _classification(touchpoint: Touchpoint, facts: tuple[str, ...]) -> Classification:
    return Classification(
        touchpoint=touchpoint.id,
        need=touchpoint.needs[0],
        stage=touchpoint.stage,
        stage_after=tuple(touchpoint.stage_after),
        facts=facts,
    )


def reader_of(path: str) -> Callable[[Event], Any]:
    """Return the function that reads a field by its path: None where it is absent."""
    parent, _, child = path.partition(".")
    if not child:
        return lambda event: event.get(parent)

    def read(event: Event) -> Any:
        inner = event.get(parent)
        return inner.get(child) if inner else None

    return read


def test_of(path: str, wanted: Condition) -> _Test:
    """Return the function that says whether a field of an event meets a condition."""
    read, checks = reader_of(path), _checks(wanted)
    if wanted.model_fields_set == {"one_of"} and all(type(v) is str for v in wanted.one_of or ()):
        return _text_test(path, frozenset(map(str, wanted.one_of or ())))
    if len(checks) == 1:
        check = checks[0]
        return lambda event: check(read(event))
    return lambda event: all(check(value) for value in (read(event),) for check in checks)


def _text_test(path: str, options: frozenset[str]) -> _Test:
    """Return the test of the commonest condition, a text that is one of some, in one call."""
    parent, _, child = path.partition(".")
    if not child:
        return lambda event: type(value := event.get(parent)) is str and value in options

    def test(event: Event) -> bool:
        inner = event.get(parent)
        if not inner:
            return False
        value = inner.get(child)
        return type(value) is str and value in options

    return test


def matches(wanted: Condition, value: Any) -> bool:
    """Return whether a field's value (None where absent) meets a condition."""
    return all(check(value) for check in _checks(wanted))


def _checks(wanted: Condition) -> list[Callable[[Any], bool]]:
    checks: list[Callable[[Any], bool]] = []
    if (present := wanted.exists) is not None:
        checks.append(lambda value: (value is not None) is present)
    if wanted.one_of is not None:
        # 1 == True in Python, and not in a catalog
        options = frozenset((type(option) is bool, option) for option in wanted.one_of)
        checks.append(
            lambda value: (
                isinstance(value, (str, bool, int, float))
                and (type(value) is bool, value) in options
            )
        )
    if (prefix := wanted.prefix) is not None:
        checks.append(lambda value: isinstance(value, str) and value.startswith(prefix))
    if (low := wanted.min) is not None:
        checks.append(lambda value: _is_number(value) and value >= low)
    if (high := wanted.max) is not None:
        checks.append(lambda value: _is_number(value) and value <= high)
    return checks


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
