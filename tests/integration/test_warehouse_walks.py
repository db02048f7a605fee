"""Named queries about paths, drop-off, funnels and retention, against plain Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.errors import RejectedInput
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import run
from schemas.catalog import Outcome
from tests.integration import warehouse_funnels as funnels
from tests.integration import warehouse_oracle as oracle
from tests.integration import warehouse_walks as expected
from tests.integration.warehouse_catalog import CATALOG, CATALOG_CHANNELS, STAGES
from tests.integration.warehouse_engine import engine
from tests.integration.warehouse_records import Record, insert, rebuild, records
from tests.integration.warehouse_walks import Step, Walk

pytestmark = [pytest.mark.integration, pytest.mark.slow]

GAP = timedelta(days=14)
OUTCOMES = ["bought", "heard", "never"]
#: Never in the records; known to the catalog; at the end of journeys.
_OUTCOMES = [
    Outcome(id="bought", name="Bought", touchpoints=["checkout"], action=["click"]),
    Outcome(id="heard", name="Heard", touchpoints=["complaint"], ends_journey=True),
    Outcome(id="never", name="Never", touchpoints=["never_used"]),
]
SINCE = datetime(2026, 1, 30, 1, tzinfo=timezone.utc)
UNTIL = datetime(2026, 2, 19, tzinfo=timezone.utc)
#: Filters that are asked for, each with every query.
ASKED: list[dict[str, Any]] = [
    {},
    {"since": SINCE, "until": UNTIL},
    {"segment": "vip"},
    {"segment": "(none)", "since": SINCE},
    {"channel": "web", "stage": "loyalty"},
    {"touchpoint": "faq", "until": UNTIL},
    {"outcome": "bought"},
    {"outcome": "(none)"},
    {"segment": "nobody_yet"},
]
each_filter = pytest.mark.parametrize("asked", ASKED, ids=str)


def crossed(*options: Any) -> list[tuple[Any, ...]]:
    """Every option without filters and with a time, and one of them with each other filter."""
    return [
        (asked, *option)
        for number, asked in enumerate(ASKED)
        for place, option in enumerate(options)
        if number < 2 or number % len(options) == place
    ]


@dataclass(frozen=True)
class Walked:
    """A database with records in it, and the journeys that they are."""

    client: Client
    walks: list[Walk]

    def ask(self, name: str, asked: Mapping[str, Any], **more: Any) -> list[tuple[Any, ...]]:
        values = {
            key: value.isoformat() if isinstance(value, datetime) else str(value)
            for key, value in {**asked, **more}.items()
        }
        return run(self.client, name, values).rows

    def chosen(self, asked: Mapping[str, Any]) -> list[Walk]:
        return expected.chosen(self.walks, asked)


def reached(event: Record) -> tuple[str, bool]:
    """The outcomes above, once more."""
    if event["touchpoint"] == "checkout" and event["action"] == "click":
        return "bought", False
    if event["touchpoint"] == "complaint":
        return "heard", True
    return "", False


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    made = [
        {**item, "segment": "" if item["customer_key"] < f"{5:032x}" else item["segment"]}
        for item in records(1)
    ]
    with engine(tmp_path_factory.mktemp("home")) as fresh:
        client, settings = fresh()
        migrate(client, settings)
        publish(client, CATALOG.model_copy(update={"outcomes": _OUTCOMES}), "1+abc")
        insert(client, made, 50)
        rebuild(client)
        yield Walked(client, expected.walks(oracle.events(made), GAP, reached))


def approximately(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [
        tuple(pytest.approx(value) if isinstance(value, float) else value for value in row)
        for row in rows
    ]


def test_the_records_are_worth_asking(walked: Walked) -> None:
    found = walked.walks
    assert {walk.outcome for walk in found} == {"", "bought", "heard"}
    pairs = [
        (step, after)
        for walk in found
        for step, after in zip(walk.steps, walk.steps[1:], strict=False)
    ]
    assert any(step.at == after.at for step, after in pairs)
    assert any(step.touchpoint == after.touchpoint for step, after in pairs)
    assert [bool(walked.chosen(asked)) for asked in ASKED] == [True] * 8 + [False]


@pytest.mark.parametrize(
    "name, distances", [("paths_from", (0, 1)), ("paths_to", (1, 0)), ("paths_around", (1, 1))]
)
@pytest.mark.parametrize(
    "asked, depth, which, collapse, top",
    crossed(
        (3, "first", True, 20),
        (2, "every", True, 5),
        (1, "every", False, 0),
        (255, "first", False, 2),
    ),
)
def test_paths(
    walked: Walked,
    asked: dict[str, Any],
    name: str,
    distances: tuple[int, int],
    depth: int,
    which: str,
    collapse: bool,
    top: int,
) -> None:
    options = {"depth": depth, "which": which, "collapse_repeats": collapse, "top": top}
    before, after = (distance * depth for distance in distances)
    for at in ("faq", "complaint", "never_used"):
        rows = expected.paths(
            walked.chosen(asked), at, which == "every", (before, after), collapse, top
        )
        found = walked.ask(name, asked, at=at, **options)
        assert found == approximately(rows)
        assert sum(row[4] for row in found) == pytest.approx(1 if found else 0)


@pytest.mark.parametrize("name", ["paths_from", "paths_to", "paths_around"])
def test_paths_add_up_to_the_occurrences(walked: Walked, name: str) -> None:
    journeys = [walk for walk in walked.walks if "faq" in walk.path]
    times = sum(walk.path.count("faq") for walk in journeys)
    assert sum(row[2] for row in walked.ask(name, {}, at="faq", top=3)) == len(journeys)
    every = walked.ask(name, {}, at="faq", top=3, which="every", collapse_repeats=False)
    assert sum(row[2] for row in every) == times > len(journeys)
    nothing_beside = walked.ask(name, {}, at="faq", depth=0)
    assert [row[2] for row in nothing_beside] == [len(journeys)]


@each_filter
@pytest.mark.parametrize("by", ["touchpoint", "stage"])
def test_drop_off(walked: Walked, asked: dict[str, Any], by: str) -> None:
    journeys = walked.chosen(asked)
    found = walked.ask("drop_off", asked, by=by)
    assert found == approximately(expected.drop_off(journeys, by))
    assert sum(row[2] for row in found) == len(journeys)
    assert sum(row[3] for row in found) == sum(not walk.outcome for walk in journeys)


@pytest.mark.parametrize("asked, collapse, top", crossed((False, 20), (True, 3), (False, 0)))
def test_variants(walked: Walked, asked: dict[str, Any], collapse: bool, top: int) -> None:
    journeys = walked.chosen(asked)
    found = walked.ask("variants", asked, collapse_repeats=collapse, top=top)
    assert found == approximately(expected.variants(journeys, collapse, top))
    assert sum(row[3] for row in found) == len(journeys)
    assert [row[6] for row in found[-1:]] == ([pytest.approx(1)] if journeys else [])


FUNNELS = [
    ("touchpoint", ["faq", "checkout", "complaint"]),
    ("touchpoint", ["product_page", "faq", "product_page", "product_page"]),
    ("touchpoint", ["checkout", "never_used", "faq"]),
    ("stage", ["satisfaction", "loyalty"]),
    ("channel", ["web", "store", "phone", "unheard_of"]),
    ("outcome", ["bought", "heard"]),
]


@pytest.mark.parametrize("per", ["journey", "customer"])
@pytest.mark.parametrize("asked, by, steps", crossed(*FUNNELS))
def test_funnel(walked: Walked, asked: dict[str, Any], by: str, steps: list[str], per: str) -> None:
    counted = expected.units(walked.chosen(asked), per)
    for within_days, strict in [(0, False), (0, True), (1, False), (0.125, True)]:
        within = timedelta(days=within_days) if within_days else None
        found = walked.ask(
            "funnel",
            asked,
            by=by,
            steps=" , ".join(steps),
            per=per,
            within_days=within_days,
            strict=strict,
        )
        assert found == approximately(funnels.funnel(counted, by, steps, within, strict))


@pytest.mark.parametrize("by, steps", FUNNELS)
@pytest.mark.parametrize("per", ["journey", "customer"])
@pytest.mark.parametrize("within_days, strict", [(0, False), (1, False), (1, True), (3, True)])
def test_no_other_choice_of_interactions_gets_further_in_a_funnel(
    walked: Walked, by: str, steps: list[str], per: str, within_days: int, strict: bool
) -> None:
    within = timedelta(days=within_days) if within_days else None
    tried = [
        funnels.most(unit, by, steps, within, strict) for unit in expected.units(walked.walks, per)
    ]
    found = walked.ask(
        "funnel", {}, by=by, steps=",".join(steps), per=per, within_days=within_days, strict=strict
    )
    assert [row[2] for row in found] == [
        sum(got >= place for got in tried) for place in range(1, len(steps) + 1)
    ]


@each_filter
@pytest.mark.parametrize(
    "by, known", [("stage", STAGES), ("channel", CATALOG_CHANNELS), ("outcome", OUTCOMES)]
)
def test_a_funnel_without_steps_takes_what_occurs(
    walked: Walked, asked: dict[str, Any], by: str, known: list[str]
) -> None:
    journeys = walked.chosen(asked)
    met = {getattr(step, by) for walk in journeys for step in walk.steps}
    steps = [name for name in known if name in met]
    counted = expected.units(journeys, "journey")
    rows = funnels.funnel(counted, by, steps, None, False)
    assert walked.ask("funnel", asked, by=by) == approximately(rows)


def test_a_choice_of_words_is_checked(walked: Walked) -> None:
    with pytest.raises(RejectedInput, match="by must be one of stage, touchpoint, outcome, ch"):
        walked.ask("funnel", {}, by="need")


@each_filter
@pytest.mark.parametrize("per", ["journey", "customer"])
def test_stage_conversion(walked: Walked, asked: dict[str, Any], per: str) -> None:
    counted = expected.units(walked.chosen(asked), per)
    found = walked.ask("stage_conversion", asked, per=per)
    assert found == approximately(expected.conversion(counted, STAGES, OUTCOMES))
    assert len(found) == 6 * 5 // 2 + 6 * 3


@pytest.mark.parametrize("period", ["week", "month"])
@pytest.mark.parametrize(
    "asked, start_outcome, active, periods",
    crossed(("", "any", 12), ("", "inbound", 2), ("bought", "any", 0), ("heard", "inbound", 3)),
)
def test_retention(
    walked: Walked,
    asked: dict[str, Any],
    period: str,
    start_outcome: str,
    active: str,
    periods: int,
) -> None:
    def starts(step: Step) -> bool:
        return not start_outcome or step.outcome == start_outcome

    def counts(step: Step) -> bool:
        return active == "any" or step.direction == "inbound"

    rows = funnels.retention(
        expected.chosen_steps(walked.walks, asked),
        asked.get("since"),
        funnels.week if period == "week" else funnels.month,
        starts,
        counts,
        periods,
    )
    found = walked.ask(
        "retention",
        asked,
        period=period,
        start_outcome=start_outcome,
        active=active,
        periods=periods,
    )
    assert found == approximately(rows)
    if active == "any":
        assert all(row[4] == 1 for row in found if row[1] == 0)
