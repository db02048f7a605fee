"""The whole stream: customers begin journeys, events happen in event time, and arrive in another.

Memory holds the customers and what is under way, never the stream: a heap of journeys, each with
only its next step, is worked off in the order of (event time, event id), which is also the order in
which purchases count; a second heap holds what has happened and not yet arrived.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from heapq import heappop, heappush

import orjson

from pipeline.errors import SettingsError
from pipeline.simulator import noise
from pipeline.simulator.book import Book
from pipeline.simulator.company import BUYING, COMPLAINING, stage
from pipeline.simulator.customers import Customer, begin
from pipeline.simulator.dice import Dice
from pipeline.simulator.hours import BEYOND, Clock
from pipeline.simulator.stories import Stories
from pipeline.simulator.trip import Fields, Script, Step, Trip
from schemas.interaction import SCHEMA_VERSION

#: First day of a simulation that names none: fixed, so that a run can be repeated.
START = date(2026, 9, 2)
_FIRST, _LAST = date(1970, 1, 2), date(2099, 12, 31)
#: Channels whose systems write local time with an offset.
_LOCAL = frozenset({"store", "kiosk", "phone"})
#: Stories that plant moments of truth, for each ordinary journey.
_STORIES = 0.25


@dataclass(frozen=True)
class Plan:
    """What to simulate. The same plan gives the same bytes, everywhere.

    Attributes:
        customers: How many customers the company has.
        days: Length of the simulation.
        seed: Another seed, another run of things.
        start: First local day.
        duplicates: Share of valid events that are sent twice.
        late: Share of valid events that arrive an hour to three days late.
        out_of_order: Share of valid events that arrive after others of the next minutes.
        malformed: Malformed values, as a share of the valid events.

    Raises:
        SettingsError: A value is out of range.
    """

    customers: int
    days: int
    seed: int = 1
    start: date = START
    duplicates: float = 0.01
    late: float = 0.005
    out_of_order: float = 0.02
    malformed: float = 0.005

    @property
    def scale(self) -> str:
        """What the events depend on; another scale, and no event id is the same."""
        return f"{self.seed} {self.customers} {self.days} {self.start.isoformat()}"

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, least in (("customers", 1), ("days", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name}: must be at least {least}")
        for name in ("duplicates", "late", "out_of_order", "malformed"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name}: must be a share from 0 to 1")
        if self.late + self.out_of_order > 1:
            raise SettingsError("late, out_of_order: must not exceed 1 together")
        if self.start < _FIRST or (_LAST - self.start).days < self.days + BEYOND:
            raise SettingsError("start, days: must lie between 1970-01-02 and November 2099")


@dataclass
class Truth:
    """What the simulator knows of one line: what it meant, not what the pipeline makes of it.

    Attributes:
        line: Line number of the output, from 1.
        event_id: The event's id; None for a malformed line.
        customer_id: The customer's number; None for a malformed line.
        channel: Channel whose topic the line belongs to.
        touchpoint: Touchpoint it was meant to be; None for a malformed line.
        stage: Lifecycle stage by what the customer had done before; None for a malformed line.
        valid: Whether the line is a valid interaction.
        duplicate: Whether the same line came before.
        late: Whether it was held back for an hour or more.
        out_of_order: Whether it was held back for minutes.
        malformed: What is wrong with it, one of ``noise.KINDS``; None for a valid line.
    """

    line: int
    event_id: str | None
    customer_id: str | None
    channel: str
    touchpoint: str | None
    stage: str | None
    valid: bool = True
    duplicate: bool = False
    late: bool = False
    out_of_order: bool = False
    malformed: str | None = None


@dataclass(frozen=True)
class Produced:
    """One line of the output.

    Attributes:
        value: The Kafka record's value, without a line break.
        truth: What it is.
        arrived_at: When it reaches Kafka, milliseconds since 1970.
    """

    value: bytes
    truth: Truth
    arrived_at: int


def start_for(days: int, today: date) -> date:
    """Return the first day of a simulation that names none: ``START``, or so early that it is over.

    What claims to be of the future is taken as of now, and nothing of it would fit the truth.
    """
    return min(START, today - timedelta(days=days + 1))


def simulate(plan: Plan, book: Book | None = None) -> Iterator[Produced]:
    """Produce the lines of a simulation in the order in which they arrive.

    Args:
        plan: What to simulate.
        book: Where to note what happens, to tell the moments of truth when all is produced.
    """
    arriving: list[tuple[int, int, bytes, Truth]] = []
    line = 0
    with_noise = _Noise(plan, arriving)
    for moment, event, truth in _happening(plan, book):
        while arriving and arriving[0][0] < moment:  # nothing can arrive before it happens
            line += 1
            yield _produced(line, heappop(arriving))
        with_noise.send(moment, event, truth)
    while arriving:
        line += 1
        yield _produced(line, heappop(arriving))


def moments_of(plan: Plan) -> Book:
    """Return what happens in a simulation, noted; ``Book.moments`` tells the moments of truth."""
    book = Book(plan.start, plan.days)
    for _ in _happening(plan, book):
        pass
    return book


def _produced(line: int, arrival: tuple[int, int, bytes, Truth]) -> Produced:
    moment, _, value, truth = arrival
    truth.line = line
    return Produced(value, truth, moment)


def _happening(plan: Plan, book: Book | None) -> Iterator[tuple[int, Fields, Truth]]:
    """Yield what happens in the order of (event time, event id), each with its truth."""
    dice = Dice(f"events {plan.scale}")
    clock = Clock(plan.start, plan.days)
    customers = [Customer(index, dice) for index in range(plan.customers)]
    ahead: list[tuple[int, str, Step, Script, Trip]] = []
    chance, end, stories = dice.random, clock.end, Stories()

    def advance(script: Script, trip: Trip) -> None:
        step = next(script, None)
        if step is not None and trip.now + step.wait < end:
            heappush(ahead, (trip.now + step.wait, dice.uuid(), step, script, trip))

    for day in range(plan.days):
        morning, evening = clock.midnight(day), clock.midnight(day + 1)
        for customer in customers:
            fate = chance()
            if fate < customer.rate:
                trip = Trip(customer, morning, dice, clock)
                advance(begin(customer, dice)(trip), trip)
            elif fate < customer.rate * (1 + _STORIES):
                story = stories.next(plan.days - day, customer.purchases > 0)
                if story is not None:
                    trip = Trip(customer, morning, dice, clock)
                    advance(story(trip), trip)
        while ahead and ahead[0][0] < evening:
            moment, event_id, step, script, trip = heappop(ahead)
            if book is not None:
                book.note(trip.customer.customer_id, moment, event_id, step)
            yield moment, _event(moment, event_id, step, trip), _truth(event_id, step, trip)
            trip.now = moment
            advance(script, trip)


def _event(moment: int, event_id: str, step: Step, trip: Trip) -> Fields:
    channel = step.channel
    customer = trip.customer
    write = trip.clock.local if channel in _LOCAL else trip.clock.utc
    identifiers = trip.identifiers.get(channel)
    if identifiers is None:
        identifiers = trip.identifiers[channel] = customer.identifiers(channel)
    event: Fields = {
        "event_id": event_id,
        "schema_version": SCHEMA_VERSION,
        "channel": channel,
        "action": step.action,
        "occurred_at": write(moment),
        "sent_at": "",  # its place; it is known when the event is sent
        "identifiers": identifiers,
        "segment": customer.segment,
        "language": customer.language,
        **step.extra,
    }
    if step.promise:
        event["promise_due_at"] = write(moment + step.promise)
    if step.details:
        event["details"] = step.details
    return event


def _truth(event_id: str, step: Step, trip: Trip) -> Truth:
    """Say what a step is, by what the customer did before it; then count it."""
    customer = trip.customer
    touchpoint = step.touchpoint
    reached = stage(touchpoint, customer.purchases, customer.complaints)
    if touchpoint in BUYING:
        customer.purchases += 1
    elif touchpoint in COMPLAINING:
        customer.complaints += 1
    return Truth(0, event_id, customer.customer_id, step.channel, touchpoint, reached)


class _Noise:
    """Sends events on their way, with all that goes wrong there."""

    def __init__(self, plan: Plan, arriving: list[tuple[int, int, bytes, Truth]]) -> None:
        self._plan = plan
        self._arriving = arriving
        # Its own chance, so that other rates leave the events the same.
        self._dice = Dice(f"noise {plan.scale}")
        self._clock = Clock(plan.start, plan.days)
        self._sent = 0

    def send(self, moment: int, event: Fields, truth: Truth) -> None:
        """Let an event arrive: late, twice, with rubbish beside it, or just so."""
        plan, dice = self._plan, self._dice
        fate = dice.random()
        if fate < plan.late:
            truth.late = True
            arrives = moment + noise.late_delay(dice)
        elif fate < plan.late + plan.out_of_order:
            truth.out_of_order = True
            arrives = moment + noise.disorder_delay(dice)
        else:
            arrives = moment + noise.usual_delay(dice)
        event["sent_at"] = self._clock.utc(arrives - 10)
        value = orjson.dumps(event)
        self._put(arrives, value, truth)
        if dice.chance(plan.duplicates):
            again = replace(truth, duplicate=True)
            self._put(arrives + noise.duplicate_delay(dice), value, again)
        if dice.chance(plan.malformed):
            kind, value = noise.malform({**event, "event_id": dice.uuid()}, dice)
            wrong = Truth(0, None, None, truth.channel, None, None, valid=False, malformed=kind)
            self._put(arrives + noise.usual_delay(dice), value, wrong)

    def _put(self, arrives: int, value: bytes, truth: Truth) -> None:
        self._sent += 1
        heappush(self._arriving, (arrives, self._sent, value, truth))
