"""Moments of truth of the customers of one partition, as their events arrive.

State is a cache: what a cell holds can be read again from the stored interactions, and what was
said from the stored moments. A cell is looked at again when an event came or the watermark passed
something it waits for; the difference to what was said last is what there is to say now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from heapq import heappop, heappush

from pipeline.moments.candidates import Part
from pipeline.moments.cells import BEGINNING, MANY, Cell, Key, Name, Said
from pipeline.moments.groups import Outcome
from pipeline.moments.lives import Lives, merged
from pipeline.moments.matching import Sighting
from pipeline.moments.notes import KEPT, WHEN, Entry, Found
from pipeline.moments.passing import Passing
from pipeline.moments.rules import STRIKES_PLACE, Rules
from pipeline.moments.states import Did, Facts, played
from pipeline.moments.strikes import Pain, strikes
from pipeline.moments.unsaid import Change, Recall, Recalled, Unsaid
from schemas.moment import moment_id


class Detector:
    """Finds the moments of one partition's customers.

    Args:
        rules: What to look for.
        recall: Reads the past of customers.
        watermark: Where to begin, microseconds since 1970.
    """

    def __init__(self, rules: Rules, recall: Recall, watermark: int = BEGINNING) -> None:
        self._rules = rules
        self._recall = recall
        self.watermark = watermark
        self._before = watermark
        self._cells: dict[Key, Cell] = {}
        self._wakes: list[tuple[int, Key]] = []
        self._dirty: dict[Key, None] = {}
        self._late: dict[str, int] = {}
        #: Whose whole past is at hand until the next advance, with their earliest late event.
        self._remembered: dict[str, int] = {}
        self._facts = Facts(rules.matcher.facts)
        self._of_states: dict[str, set[Key]] = {}
        self._lives = Lives()
        self._above = {group.number for group in rules.of_moments}
        if rules.strikes is not None:
            self._above.add(STRIKES_PLACE)
        self._passing = Passing()
        #: Groups in which an answer may come before what it answers, and how much earlier.
        self._ahead = {
            group.number: group.span for group in rules.groups if group.promise and group.span
        }
        self._struck: set[str] = set()
        self._unsaid = Unsaid(rules, self._live)

    def __len__(self) -> int:
        """Return the number of cells held."""
        return len(self._cells)

    @property
    def late(self) -> list[str]:
        """Return the customers of events that came late: their past will be read."""
        return list(self._late)

    def waits_before(self, watermark: int) -> bool:
        """Return whether passing an instant may decide something."""
        return bool(self._wakes) and self._wakes[0][0] < watermark

    def restore(self, recalled: Recalled, facts: Iterable[Did] = ()) -> None:
        """Take up what is stored: every event and statement that can still matter.

        Args:
            recalled: Events and statements.
            facts: When customers did what rules ask about for the first times, however long ago.
        """
        for did in facts:
            self._facts.add(*did)
        for sighting in recalled.sightings:
            self._learn(sighting)
            self._take(sighting, self.watermark)
        self._retell(recalled.said, {})

    def feed(self, sighting: Sighting) -> None:
        """Take an event. It must be stored already, for if it is late, its past is read."""
        customer, note = sighting.customer, sighting.note
        if note.at < self.watermark:
            self._late[customer] = min(note.at, self._late.get(customer, note.at))
            return
        if sighting.facts:
            self._learn(sighting)
            for key in self._of_states.get(customer, ()):
                self._dirty[key] = None
        self._take(sighting, self.watermark)

    def advance(self, watermark: int, now: datetime) -> list[Change]:
        """Look at what changed, and return everything there is to say.

        Args:
            watermark: Everything earlier has arrived; it never goes back.
            now: Written as the time of detection.
        """
        self._remembered = dict(self._late)
        if self._late:
            self._remember()
        self._before, self.watermark = self.watermark, max(self.watermark, watermark)
        self._wake()
        self._look_at(lambda number: number not in self._above, now)
        self._look_at(lambda number: number != STRIKES_PLACE, now)  # rules over moments
        self._look_at(lambda number: True, now)
        return self._unsaid.changes()

    def confirm(self, changes: Iterable[Change]) -> None:
        """Take note that changes were said, for good."""
        for change in changes:
            self._unsaid.said(change)
            cell = self._cells.get(change.key)
            if cell is not None:
                status = "withdrawn" if change.withdrawn else ""
                said = Said(
                    change.what, change.revision, change.detected_at, status, self.watermark
                )
                cell.tell((change.place, change.cause), said)

    # --- events ---------------------------------------------------------------------------------

    def _take(self, sighting: Sighting, floor: int) -> None:
        customer, note, parts_played, _ = sighting
        cells, dirty = self._cells, self._dirty
        passing: list[Part] = []
        span = 0
        for part in parts_played:
            group, subject, parts, states = part
            key = (customer, group, subject)
            cell = cells.get(key)
            if cell is None:
                if not (parts & WHEN or states or group in self._above):
                    # it can only end what another begins, which may still come
                    passing.append(part)
                    if parts & KEPT and group in self._ahead:
                        span = max(span, self._ahead[group])
                    continue
                cell = self._begin(key, floor)
            if cell.add(Entry(note.at, note.event_id, parts, note, states)):
                dirty[key] = None
        if passing:
            self._passing.add(customer, note, passing, span)

    def _begin(self, key: Key, floor: int) -> Cell:
        """Make a cell, with the events that came before what begins there."""
        cell = self._cells[key] = Cell(floor)
        customer, group, subject = key
        for entry in self._passing.of(customer, group, subject):
            cell.add(entry)
        if group in self._rules.states:
            self._of_states.setdefault(customer, set()).add(key)
        return cell

    def _learn(self, sighting: Sighting) -> None:
        note = sighting.note
        for fact in sighting.facts:
            self._facts.add(sighting.customer, fact, note.at, note.event_id)

    def _retell(self, said: Mapping[Key, Mapping[Name, Said]], floors: Mapping[str, int]) -> None:
        for key, statements in said.items():
            cell, floor = self._cells.get(key), floors.get(key[0], self.watermark)
            if cell is None and (
                key[1] in self._above  # or its events are yet to come again
                or any(
                    not self._unsaid.past(key, place, statement, floor)
                    for (place, _), statement in statements.items()
                )
            ):
                cell = self._begin(key, floor)
            if cell is not None:
                for name, statement in statements.items():
                    cell.tell(name, statement)
                    if name[0] == STRIKES_PLACE and not self._unsaid.past(
                        key, STRIKES_PLACE, statement, floor
                    ):
                        self._struck.add(key[0])
                self._dirty[key] = None
            for (place, cause), statement in statements.items():
                if place is not None and isinstance(statement.what, Found):
                    withdrawn = statement.status == "withdrawn"
                    self._live(key, place, cause, None if withdrawn else statement.what)

    def _remember(self) -> None:
        """Begin the customers of late events anew, from all that is stored of them."""
        late = self._late
        recalled = self._recall(list(late))
        self._late = {}
        for sighting in recalled.sightings:
            for group, subject, _, _ in sighting.parts:
                self._drop((sighting.customer, group, subject))
        for customer in late:
            self._passing.drop(customer)
            for number in self._above:
                self._drop((customer, number, ""))
        for sighting in recalled.sightings:
            self._learn(sighting)
            self._take(sighting, late[sighting.customer])
        self._retell(recalled.said, late)
        for customer in late:
            self._look_above(customer, self._above)

    def _wake(self) -> None:
        """Mark the cells that wait for what the watermark has passed; drop what is over."""
        self._passing.forget(self.watermark)
        while self._wakes and self._wakes[0][0] < self.watermark:
            scheduled, key = heappop(self._wakes)
            cell = self._cells.get(key)
            if cell is None or cell.scheduled != scheduled:
                continue
            cell.scheduled = None
            if cell.wake >= self.watermark:
                self._schedule(key, cell)
            elif cell.pending or key in self._dirty or key[1] in self._above:
                self._dirty[key] = None
            else:
                self._drop(key)

    def _schedule(self, key: Key, cell: Cell) -> None:
        """See to it that the cell is woken: one entry a cell, renewed when it comes up."""
        if cell.scheduled is None or cell.wake < cell.scheduled:
            cell.scheduled = cell.wake
            heappush(self._wakes, (cell.wake, key))

    def _look_above(self, customer: str, numbers: Iterable[int]) -> None:
        """See to it that rules over moments, of these groups, are looked at for a customer."""
        floor = self._remembered.get(customer, self._before)
        for number in numbers:
            key = (customer, number, "")
            if key not in self._cells:
                self._begin(key, floor)
            self._dirty[key] = None

    # --- looking --------------------------------------------------------------------------------

    def _look_at(self, wanted: Callable[[int], bool], now: datetime) -> None:
        """Look at the cells of some groups that need it; they may call for others."""
        for key in [key for key in self._dirty if wanted(key[1])]:
            del self._dirty[key]
            self._look(key, now)

    def _look(self, key: Key, now: datetime) -> None:
        cell = self._cells.get(key)
        if cell is None:
            return
        outcome = self._outcome(key, cell)
        if outcome.moments or outcome.promises or cell.said:
            self._unsaid.differ(key, cell, outcome, self.watermark, now)
        # what was said ahead of a crash is not contradicted before the watermark is there again
        waits = [
            item.watermark - 1 for item in cell.said.values() if item.watermark > self.watermark
        ]
        cell.keep = max([outcome.keep, *waits])
        if outcome.wake is not None:
            waits.append(outcome.wake)
        cell.pending, cell.wake = bool(waits), min(waits, default=cell.keep)
        if self.watermark > cell.keep:
            self._drop(key)
            return
        self._schedule(key, cell)
        if len(cell.entries) > MANY and key[1] not in self._above:
            cell.forget(self._rules.groups[key[1]], self.watermark, outcome.oldest)

    def _outcome(self, key: Key, cell: Cell) -> Outcome:
        customer, number, _ = key
        if (
            key[1] in self._above
            and customer not in self._struck
            and customer not in self._remembered
        ):
            self._lives.forget(customer, self._before - self._rules.memory)
            cell.floor = max(cell.floor, self._before)
        if number == STRIKES_PLACE:
            return self._strikes(key, cell)
        group = self._rules.groups[number]
        entries: Sequence[Entry] = cell.entries
        if number in self._rules.states:
            entries = played(entries, self._facts, customer)
        if group.of_moments:
            entries = merged(entries, self._lives.of(customer), group, self._rules.over)
        outcome = group.evaluate(entries, self.watermark) if entries else Outcome(keep=BEGINNING)
        if group.of_moments:
            outcome.keep += self._rules.below
            if cell.entries and self._lives.of(customer):  # looked at again with the moments
                outcome.keep = max(outcome.keep, cell.entries[-1].at + self._rules.memory)
        return outcome

    def _strikes(self, key: Key, cell: Cell) -> Outcome:
        customer, outcome = key[0], Outcome(keep=BEGINNING)
        terms = self._rules.strikes
        if terms is None:
            return outcome
        moments = self._lives.of(customer)
        pains = [moment for moment in moments if moment.kind == "pain"]
        found, wake = strikes(pains, terms, self.watermark)
        outcome.moments = [(STRIKES_PLACE, moment) for moment in found]
        if wake is not None:
            outcome.waits(wake, wake)
        for moment in moments:
            until = max(moment.at, moment.resolved_at or moment.at) + self._rules.memory
            outcome.holds(moment.at, until)
        # as long as any can change, its pains are not forgotten: without them it would be another
        if any(self._unsaid.lasts(moment, self._before) for moment in found) or not all(
            self._unsaid.past(key, STRIKES_PLACE, said, self._before) for said in cell.said.values()
        ):
            self._struck.add(customer)
        else:
            self._struck.discard(customer)
        return outcome

    def _live(self, key: Key, place: int, cause: str, what: Found | None) -> None:
        """Tell the rules that look at moments what became of one."""
        if not self._rules.minds(place):
            return
        customer, group, subject = key
        name, rule = (group, subject, place, cause), self._rules.name(place)
        if what is None or what.status == "retracted":
            news = self._lives.remove(customer, name)
        else:
            identity = moment_id(rule, customer, subject, cause)
            pain = Pain(
                what.occurred_at,
                str(identity),
                self._rules.kind(place),
                rule,
                what.closed_at,
                what.cause,
                what.closed_by,
            )
            news = self._lives.put(customer, name, pain)
        if news and rule in self._rules.over:  # only three strikes look at these
            self._look_above(customer, self._above & {STRIKES_PLACE})
        elif news:
            self._look_above(customer, self._above)

    def _drop(self, key: Key) -> None:
        self._cells.pop(key, None)
        known = self._of_states.get(key[0])
        if known is not None:
            known.discard(key)
            if not known:
                del self._of_states[key[0]]
