"""A catalog's rules, compiled once for all partitions."""

from __future__ import annotations

from datetime import timedelta

from pipeline.catalog import LoadedCatalog
from pipeline.moments.candidates import Kind, candidate
from pipeline.moments.groups import Group, groups
from pipeline.moments.matching import Matcher
from schemas.patterns import MomentRef
from schemas.rules import STRIKES, RuleBase, Strikes

#: Place of the rule of three strikes, and number of its group: it is none of the catalog's list.
STRIKES_PLACE = -1


class Rules:
    """What a catalog says about moments.

    Attributes:
        version: Version of the catalog.
        groups: Its rules in groups, by number.
        matcher: Finds the parts that events play.
        strikes: When many pains are too many, or None.
        of_moments: The groups that look at moments of other rules.
        over: Ids of the rules in them: none of them looks at moments of another.
        memory: How long after it occurred, or was resolved, a moment can matter to those groups
            and to strikes, microseconds.
        below: How long after it occurred a moment that they look at can change, microseconds.
    """

    def __init__(self, loaded: LoadedCatalog) -> None:
        catalog = loaded.catalog
        self.version = loaded.version
        self.catalog = catalog
        self.groups = groups(catalog)
        self.matcher = Matcher(catalog, self.groups)
        self.strikes: Strikes | None = catalog.strikes
        self.of_moments = [group for group in self.groups if group.of_moments]
        self.states = frozenset(
            group.number
            for group in self.groups
            if any(p.stage is not None or p.customer is not None for _, p in group.parts)
        )
        self._refs = [
            pattern.moment
            for group in self.of_moments
            for _, pattern in group.parts
            if pattern.moment is not None
        ]
        over = {place for group in self.of_moments for place in group.asked}
        self._minded = [
            self._minds(rule, place in over) for place, rule in enumerate(catalog.rules)
        ]
        self.over = frozenset(catalog.rules[place].id for place in over)
        # a pain that turns out to be none changes what was found over it
        below = [
            asked.watched
            for group in self.groups
            for place, asked in group.asked.items()
            if self._minded[place]
        ]
        self.below = max(below, default=0)
        self._window = 0
        if self.strikes is not None:
            self._window = self.strikes.window // timedelta(microseconds=1)
        spans = [group.span + group.watched for group in self.of_moments]
        self.memory = max([2 * self._window, *spans]) + self.below

    @property
    def strikes_window(self) -> int:
        """Return how long a pain counts for strikes, microseconds; 0 without strikes."""
        return self._window

    @property
    def said_reach(self) -> int:
        """Return how far before the watermark what was said can still matter, microseconds.

        It does for longer where strikes go on: their pains count, however long ago.
        """
        return max(self.reach, self.memory)

    @property
    def reach(self) -> int:
        """Return how far before the watermark any event can still matter, microseconds."""
        return max(map(self.looks_back, self.groups), default=0)

    def reach_of(self, kind: Kind) -> int | None:
        """Return how far before the watermark an event of a kind can still matter.

        In microseconds; None where it never does.
        """
        looking = [self.looks_back(group) for group in self.groups if candidate(group, kind)]
        return max(looking, default=None)

    def looks_back(self, group: Group) -> int:
        """Return how far before the watermark an event can matter to a group, microseconds."""
        own = group.span + group.watched + group.longest
        return max(own, self.memory) if group.of_moments else own

    def minds(self, place: int) -> bool:
        """Return whether strikes or other rules look at the moments of a rule."""
        return place >= 0 and self._minded[place]

    def watched(self, group: int, place: int) -> int:
        """Return how long after it occurred a moment can change, microseconds."""
        if place == STRIKES_PLACE:
            return self._window + self.below
        above = self.groups[group]
        return above.asked[place].watched + (self.below if above.of_moments else 0)

    def kind(self, place: int) -> str:
        """Return whether a rule finds pain or glory."""
        return "pain" if place == STRIKES_PLACE else self.catalog.rules[place].kind

    def name(self, place: int) -> str:
        """Return the id of a rule."""
        return STRIKES if place == STRIKES_PLACE else self.catalog.rules[place].id

    def places(self) -> dict[str, int]:
        """Return the place of every rule by id."""
        found = {rule.id: place for place, rule in enumerate(self.catalog.rules)}
        return {**found, STRIKES: STRIKES_PLACE}

    def _minds(self, rule: RuleBase, is_over: bool) -> bool:
        if self.strikes is not None and rule.kind == "pain":
            return True
        return not is_over and any(refers(ref, rule.kind, rule.id) for ref in self._refs)


def refers(ref: MomentRef, kind: str, rule: str) -> bool:
    """Return whether a pattern means the moments of a rule."""
    return (ref.kind is None or ref.kind == kind) and (ref.rule is None or rule in ref.rule)
