"""Totals of every two queries that ought to agree do agree: ``PAIRS`` says which.

Over the nasty records and over what a worker stored and found of a simulation, with every filter
and without. What two queries need not agree on is where they choose differently: a moment may occur
at another time than the interaction that caused it, and some are caused by no interaction at all
(three strikes), which therefore fit no stage and no outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
import pytest
from clickhouse_connect.driver.client import Client

from pipeline import catalog
from pipeline.simulator import Plan, simulate
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.queries import run
from tests.integration import warehouse_oracle
from tests.integration.warehouse_catalog import CATALOG
from tests.integration.warehouse_engine import Fresh, engine
from tests.integration.warehouse_moments import fill, moments, promises
from tests.integration.warehouse_records import insert, rebuild, records
from tests.offline_worker import OfflineWorker

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Filters = Mapping[str, str]
#: Parameters beside the filters.
NONE: Filters = {}


@dataclass(frozen=True)
class Total:
    """A column of a query's result, added up.

    Attributes:
        query: Name of the query.
        column: Column that is added up; empty counts the rows.
        rows: Values that a row must have to be added.
        also: Parameters beside the filters.
    """

    query: str
    column: str = ""
    rows: Mapping[str, str] = field(default_factory=dict)
    also: Filters = field(default_factory=dict)

    def __str__(self) -> str:
        only = "".join(f" of {value or 'none'}" for value in self.rows.values())
        return f"{self.query}.{self.column or 'rows'}{only}"


@dataclass(frozen=True)
class Pair:
    """Two sums of totals that ought to be equal.

    Attributes:
        left: What is added up on the one side.
        right: What is added up on the other.
        where: Filters with which they ought to agree.
    """

    left: tuple[Total, ...]
    right: tuple[Total, ...]
    where: Callable[[Filters], bool] = lambda filters: True

    def __str__(self) -> str:
        return " = ".join(" + ".join(map(str, side)) for side in (self.left, self.right))


def pair(left: Total, right: Total) -> Pair:
    return Pair((left,), (right,))


def whole_journeys(filters: Filters) -> bool:
    """Whether steps and journeys are chosen alike: by what all steps of a journey share."""
    return set(filters) <= {"segment", "outcome"}


def by_step(filters: Filters) -> bool:
    """Whether moments are chosen by their steps alone, at any time."""
    return bool({"stage", "outcome"} & set(filters)) and not {"since", "until"} & set(filters)


INTERACTIONS = Total("stage_distribution", "interactions")
#: Every time that customers looked at a product.
EVERY = {"at": "product_page", "which": "every"}
PAIN = {"kind": "pain"}
GLORY = {"kind": "glory"}
#: What each of the queries about moments adds up to, beside moments_by_rule.
_MOMENTS: dict[tuple[str, str], list[Total]] = {
    ("moments", "pain"): [
        *(Total(f"moments_by_{by}", "pains") for by in ("touchpoint", "owner", "segment", "day")),
        Total("trust_balance", "pains"),
        Total("trust_by_customer", "pains"),
    ],
    ("open", "pain"): [
        *(
            Total(f"moments_by_{by}", "open_pains")
            for by in ("touchpoint", "owner", "segment", "day")
        ),
        Total("trust_by_customer", "open_pains"),
        Total("open_pains"),
    ],
    ("resolved", "pain"): [
        Total(f"moments_by_{by}", "resolved_pains") for by in ("owner", "segment", "day")
    ],
    ("moments", "glory"): [
        *(Total(f"moments_by_{by}", "glories") for by in ("touchpoint", "owner", "segment", "day")),
        Total("trust_balance", "glories"),
        Total("trust_by_customer", "glories"),
    ],
}
_KEPT = ("pending", "kept", "kept_late", "broken", "cancelled")
PAIRS = [
    *(
        pair(INTERACTIONS, other)
        for other in (
            Total("touchpoint_map", "interactions"),
            Total("touchpoint_channels", "interactions"),
            Total("moments_by_touchpoint", "interactions"),
            Total("data_quality", "value", {"section": "stored", "measure": "events"}),
        )
    ),
    pair(
        Total("data_quality", "value", {"measure": "unclassified"}),
        Total("touchpoint_channels", "interactions", {"touchpoint": "unclassified"}),
    ),
    # a journey has one step that no transition leads to
    Pair((INTERACTIONS,), (Total("transitions", "transitions"), Total("top_paths", "journeys")),
         whole_journeys),
    *(
        pair(Total("top_paths", "journeys"), Total("top_paths", "journeys", also=also))
        for also in ({"top": "1"}, {"top": "0"}, {"depth": "0"}, {"collapse_repeats": "no"})
    ),
    *(
        pair(Total("top_paths", "journeys"), other)
        for other in (
            Total("variants", "journeys"),
            Total("drop_off", "ended"),
            Total("drop_off", "ended", also={"by": "stage"}),
        )
    ),
    *(
        pair(Total("paths_from", "occurrences", also=EVERY), Total(name, "occurrences", also=EVERY))
        for name in ("paths_to", "paths_around")
    ),
    pair(INTERACTIONS, Total("channel_census", "interactions")),
    *(
        pair(Total("moments_by_rule", column, {"kind": kind}), other)
        for (column, kind), others in _MOMENTS.items()
        for other in others
    ),
    *(
        pair(Total("moments_by_rule", "retracted"), Total(f"moments_by_{by}", "retracted"))
        for by in ("touchpoint", "owner", "segment", "day")
    ),
    Pair(
        (Total("moments_by_rule", "moments"),),
        (Total("moments_by_rule", "open"), Total("moments_by_rule", "resolved")),
    ),
    pair(Total("trust_balance", "balance"), Total("trust_by_customer", "balance")),
    pair(Total("trust_balance", "customers"), Total("moments_by_segment", "customers")),
    *(
        Pair((Total("touchpoint_map", column),), (Total("moments_by_rule", "moments", rows),),
             by_step)
        for column, rows in (("pains", PAIN), ("glories", GLORY))
    ),
    Pair((Total("promise_keeping", "made"),), tuple(Total("promise_keeping", c) for c in _KEPT)),
    Pair(
        (Total("data_quality", "value", {"measure": "records"}),),
        (
            Total("data_quality", "value", {"measure": "events"}),
            Total("data_quality", "value", {"measure": "duplicates"}),
        ),
    ),
    pair(
        Total("data_quality", "value", {"measure": "records"}),
        Total("data_quality", "value", {"section": "channels"}),
    ),
]  # fmt: skip


class Asked:
    """A filled database, and what is asked of it: each filter alone, and some together."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.filters = _filters(client)
        self._rows = cache(self._asked)

    def sum(self, totals: tuple[Total, ...], filters: Filters) -> float:
        """Return what some totals add up to."""
        return float(sum(self._one(total, {**filters, **total.also}) for total in totals))

    def _one(self, total: Total, values: Filters) -> float:
        found = self._rows(total.query, tuple(values.items()))
        kept = [row for row in found if all(row[key] == v for key, v in total.rows.items())]
        return sum(row[total.column] for row in kept) if total.column else len(kept)

    def _asked(self, query: str, values: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
        result = run(self.client, query, dict(values))
        names = [each.name for each in result.query.columns]
        return [dict(zip(names, row, strict=True)) for row in result.rows]


def _filters(client: Client) -> list[Filters]:
    """Return filters that leave something: the values that occur most, and part of the time."""
    names = ("segment", "channel", "stage", "touchpoint", "outcome")
    columns = ("segment", "channel", "stage", "touchpoint", "journey_outcome")
    most = ", ".join(f"topK(1)(toString({name}))[1]" for name in columns)
    sql = f"SELECT quantile(0.3)(occurred_at), quantile(0.7)(occurred_at), {most} FROM steps"  # noqa: S608
    since, until, *values = client.query(sql).result_rows[0]
    some = {"since": since.isoformat(), "until": until.isoformat()}
    alone = [{name: value or "(none)"} for name, value in zip(names, values, strict=True)]
    together = [
        some | alone[0] | alone[1],
        some | alone[2],
        alone[0] | alone[4],
        alone[1] | alone[2] | alone[3] | alone[4],
        some | {"channel": "no such channel"},
    ]
    return [NONE, some, *alone, {"outcome": "(none)"}, {"segment": "(none)"}, *together]


def nasty(fresh: Fresh) -> Client:
    client, settings = fresh()
    migrate(client, settings)
    publish(client, CATALOG, "1+abc")
    made = records(31)
    insert(client, made, 100)
    events = warehouse_oracle.events(made)
    fill(Ledger(client), moments(31, events, 300), promises(31, events, 200), 97)
    rebuild(client)
    return client


def simulated(fresh: Fresh) -> Client:
    client, settings = fresh()
    migrate(client, settings)
    loaded = catalog.load()
    publish(client, loaded.catalog, loaded.version)
    worker = OfflineWorker(client, settings, loaded)
    values = []
    for produced in simulate(Plan(customers=150, days=30, seed=5, malformed=0)):
        event = orjson.loads(produced.value)
        values.append((event["channel"], event["identifiers"]["customer_id"], produced.value))
    worker.work(values, size=500)
    rebuild(client)
    return client


@pytest.fixture(scope="module", params=[nasty, simulated], ids=["nasty", "simulated"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with engine(tmp_path_factory.mktemp("home")) as fresh:
        yield Asked(request.param(fresh))


@pytest.mark.parametrize("which", PAIRS, ids=str)
def test_totals_agree(asked: Asked, which: Pair) -> None:
    sums = []
    for filters in asked.filters:
        if which.where(filters):
            left, right = asked.sum(which.left, filters), asked.sum(which.right, filters)
            assert left == pytest.approx(right), filters
            sums.append(left)
    assert len(sums) >= 3
    assert any(sums)


def test_moments_that_no_interaction_caused_are_all_that_the_map_lacks(asked: Asked) -> None:
    lone = asked.client.query(
        "SELECT countIf(kind = 'pain') FROM moments WHERE status != 'retracted' "
        "AND (customer_key, cause) NOT IN (SELECT customer_key, event_id FROM steps)"
    ).result_rows[0][0]
    found = asked.sum((Total("moments_by_rule", "moments", PAIN),), NONE)
    assert found == asked.sum((Total("touchpoint_map", "pains"),), NONE) + lone
    assert lone > 0
