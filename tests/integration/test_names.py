"""Names in questions: what is known, what occurs, and what is misspelt, on the real engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from pipeline.errors import RejectedInput
from pipeline.warehouse.catalog_tables import publish
from pipeline.warehouse.ledger import Ledger
from pipeline.warehouse.migrate import migrate
from pipeline.warehouse.names import KINDS, Named, check_names
from pipeline.warehouse.queries import run
from tests.integration.warehouse_catalog import CATALOG
from tests.integration.warehouse_engine import engine
from tests.integration.warehouse_moments import fill, moments
from tests.integration.warehouse_records import START, insert, rebuild, record

pytestmark = pytest.mark.integration

#: Segments as producers may send them: each must be found by exactly its own text.
ODD = ["it's", "a\\b", "a\\nb", "tab\tx", "new\nline", "{since:String}", 'né "q"', "%s", "\\N", " "]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    """A warehouse without anything, and one with odd segments and what no catalog has."""
    with engine(tmp_path_factory.mktemp("home")) as fresh:
        (empty, settings), (filled, others) = fresh(), fresh()
        migrate(empty, settings)
        migrate(filled, others)
        publish(filled, CATALOG, "1")
        made = [
            record(n, segment=name, customer_key=f"{n:032x}", touchpoint="no_longer_known",
                   channel="unheard_of", stage_default="an_old_stage", occurred_at=START)
            for n, name in enumerate(ODD)
        ]  # fmt: skip
        insert(filled, made, 100)
        fill(Ledger(filled), moments(1, made), [], 200)
        rebuild(filled)
        yield empty, filled


def asked(kind: str, name: str) -> list[Named]:
    return [Named("given", kind, name)]


def test_what_is_misspelt_is_refused_with_what_there_is(clients: tuple[Client, Client]) -> None:
    _, client = clients
    check_names(client, asked("outcome", "nowhere_to_be_foun"))  # this catalog has none at all
    for kind in sorted({*KINDS.values()} - {"outcome"}):
        with pytest.raises(RejectedInput, match=f"parameter given: no {kind} 'nowhere_to_be_foun'"):
            check_names(client, asked(kind, "nowhere_to_be_foun"))
    with pytest.raises(RejectedInput, match=r"no channel 'wbe' \(did you mean web\?\)"):
        check_names(client, [*asked("touchpoint", "faq"), *asked("channel", "wbe")])
    with pytest.raises(RejectedInput, match=r"\(there are: .*web.*unheard_of.*\)"):
        check_names(client, asked("channel", "zzzz"))


def test_what_the_catalog_has_or_what_occurs_is_known(clients: tuple[Client, Client]) -> None:
    _, client = clients
    for kind, name in (
        ("touchpoint", "faq"), ("touchpoint", "no_longer_known"), ("touchpoint", "unclassified"),
        ("stage", "an_old_stage"), ("stage", "unclassified"), ("channel", "unheard_of"),
        ("segment", "(none)"), ("outcome", "(none)"),
    ):  # fmt: skip
        check_names(client, asked(kind, name))
    found = client.query("SELECT DISTINCT toString(rule), toString(owner) FROM moments").result_rows
    assert found
    check_names(client, [named for rule, _ in found for named in asked("rule", rule)])
    check_names(client, [named for _, owner in found for named in asked("owner", owner)])


def test_where_nothing_is_known_nothing_is_misspelt(clients: tuple[Client, Client]) -> None:
    empty, _ = clients
    check_names(empty, [named for kind in KINDS.values() for named in asked(kind, "anything")])


@pytest.mark.parametrize("segment", ODD)
def test_a_segment_is_found_whatever_its_text(clients: tuple[Client, Client], segment: str) -> None:
    _, client = clients
    check_names(client, asked("segment", segment))
    for name, column in (("touchpoint_map", 2), ("top_paths", 2), ("retention", 2)):
        assert sum(row[column] for row in run(client, name, {"segment": segment}).rows) == 1, name
