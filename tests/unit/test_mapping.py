from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import catalog
from pipeline.classify import Classifier
from pipeline.errors import CatalogError
from pipeline.mapping import map_file
from pipeline.mapping.log_reader import open_log
from pipeline.mapping.mapped import Mapped, Mapper, Unfit
from pipeline.producers.producer import checker
from schemas.mapping import Mapping
from tests.unit.logs import LOG, MAP, event, loaded_map, misfit, results

ROOT = Path(__file__).resolve().parent.parent.parent
RECEIPT = ROOT / "docs" / "examples" / "receipt"
REAL_LOG = ROOT.parent / "shared" / "data" / "receipt" / "receipt.csv"


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ('source = "shop-log"\n', "", 0, "source: missing"),
        ('unmapped = "drop"', 'unmapped = "keep"', 2, "unmapped: Input should be 'drop'"),
        ("Europe/Amsterdam", "Europe/Amsterdm", 6, "not a zone"),
        ('{ column = "what" }', "{}", 7, "exactly one of constant, column, columns"),
        ('{ column = "what" }', '{ column = "what", constant = "x" }', 7, "exactly one"),
        ('{ column = "what" }', '{ colum = "what" }', 7, "did you mean 'column'?"),
        ('{ column = "what" }', '{ column = "what", default = "x" }', 7, "default is for values"),
        ('{ column = "what" }', '{ column = "what", separator = "x" }', 7, "separator is for"),
        ('{ column = "what" }', '{ constant = "x", optional = true }', 7, "optional is for"),
        ('"store" }', '"shop" }', 8, "'shop' is not a channel of the catalog"),
        ('{ column = "at", zone', '{ column = "at", unit = "s", zone', 6, "has no zone"),
        ('"at", zone = "Europe/Amsterdam"', '"at", formats = ["%d %Z"]', 6, "ambiguous: use %z"),
        ('"at", zone = "Europe/Amsterdam"', '"at", formats = ["%Q%"]', 6, "not a strptime format"),
        ('"at", zone = "Europe/Amsterdam"', '"at", ambiguous = "later"', 6, "times in a zone"),
        ('event_id = { column = "id" }', "event_id = { uuid_of_row = false }", 5, "exactly one of"),
        ("[event.identifiers]", "direction.constant = 'in'\n[event.identifiers]", 10, "inbound"),
        ("[event.identifiers]", "amount.column = 'a'\n[event.identifiers]", 4, "need each other"),
    ],
)
def test_a_wrong_map_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, told: str
) -> None:
    assert old in MAP
    with pytest.raises(CatalogError, match=told.replace("?", r"\?")) as caught:
        loaded_map(tmp_path, MAP.replace(old, new))
    assert [problem.line for problem in caught.value.problems] == [line]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = MAP.replace('"web"', '"net"').replace('"store"', '"shop"')
    with pytest.raises(CatalogError) as caught:
        loaded_map(tmp_path, text)
    assert [problem.where for problem in caught.value.problems] == [
        "event.channel.values.Internet",
        "event.channel.values.Desk",
    ]


def test_a_constant_of_zero_is_a_constant(tmp_path: Path) -> None:
    text = MAP + "[event.amount]\nconstant = 0\n[event.currency]\nconstant = 'EUR'\n"
    assert event(results(tmp_path, LOG, text)[0])["amount"] == "0.0"


def test_a_missing_column_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"map.toml:7: event.action: the log has no column"):
        results(tmp_path, LOG.replace("what", "which"))
    text = MAP.replace("[event.ide", 'segment = { column = "seg", optional = true }\n[event.ide')
    assert "segment" not in event(results(tmp_path, LOG, text)[0])


def test_a_wrong_delimiter_is_hinted_at(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="say its delimiter"):
        results(tmp_path, LOG.replace(",", ";"))
    text = MAP.replace("unmapped", 'delimiter = ";"\nunmapped')
    assert len([event(row) for row in results(tmp_path, LOG.replace(",", ";"), text)]) == 2


def test_what_does_not_fit_is_told_by_row_line_field_and_reason(tmp_path: Path) -> None:
    content = (
        "id,at,what,via,who\n"
        "1,2026-03-01 12:00:00,view,Fax,secret-1\n"
        "\n"
        "2,2026-10-25 02:30:00,view,Desk,secret-2\n"
        "3,yesterday,view,Desk,secret-3\n"
        ",2026-03-01 12:00:00,view,Desk,secret-4\n"
        "5,2026-03-01 12:00:00,view,Desk,\n"
        "6,1969-12-31 12:00:00,view,Desk,secret-6\n"
        '7,"2026-03-01 12:00:00",view,Desk\n'
        "8,2026-03-01 12:00:00,view,Desk,secret-8\n"
    )
    found = results(tmp_path, content)
    assert [misfit(item) for item in found[:-1]] == [
        (1, 2, "unknown_value", "channel"),
        (2, 4, "ambiguous_time", "occurred_at"),
        (3, 5, "invalid_time", "occurred_at"),
        (4, 6, "missing_value", "event_id"),
        (5, 7, "missing_field", "identifiers"),
        (6, 8, "invalid_field", "occurred_at"),
        (7, 9, "bad_row", ""),
    ]
    assert event(found[-1])["identifiers"] == {"customer_id": "secret-8"}
    for item in found:
        assert isinstance(item, Mapped) or "secret" not in item.error + item.field


def test_ids_made_from_rows_survive_the_mending_of_rejects(tmp_path: Path) -> None:
    text = MAP.replace('{ column = "id" }', "{ uuid_of_row = true }")
    whole = results(tmp_path, LOG, text)
    broken = LOG.replace("Desk", "Desc")
    [first, bad] = results(tmp_path, broken, text)
    assert isinstance(bad, Unfit)
    mended = b"touchline_row,id,at,what,via,who\n" + bad.raw.replace(b"Desc", b"Desk") + b"\n"
    [second] = results(tmp_path, mended, text)
    assert [event(first), event(second)] == [event(item) for item in whole]
    assert second.number == 2
    assert "touchline_row" not in second.value.decode() if isinstance(second, Mapped) else False


def test_ids_made_from_columns_depend_on_source_and_columns_alone(tmp_path: Path) -> None:
    text = MAP.replace('{ column = "id" }', '{ uuid_of = ["id", "who"] }')
    before = [event(item)["event_id"] for item in results(tmp_path, LOG, text)]
    header, *rows = LOG.splitlines()
    swapped = "\n".join([header, *reversed(rows)])
    after = [event(item)["event_id"] for item in results(tmp_path, swapped, text)]
    assert after == before[::-1]
    assert len(set(before)) == 2
    other = text.replace("shop-log", "other-log")
    assert before[0] != event(results(tmp_path, LOG, other)[0])["event_id"]
    # ("ab", "") and ("a", "b") are not the same event
    rows = ["ab,2026-03-01 12:00,x,Desk,", "a,2026-03-01 12:00,x,Desk,b"]
    pair = text.replace("customer_id = ", "loyalty_card = { column = 'what' }\ncustomer_id = ")
    ids = {event(item)["event_id"] for item in results(tmp_path, "\n".join([header, *rows]), pair)}
    assert len(ids) == 2


def test_joined_columns_constants_rating_and_money(tmp_path: Path) -> None:
    text = MAP.replace('{ column = "id" }', '{ columns = ["id", "who"], separator = "/" }') + (
        "[event.rating]\nscale.constant = 'nps'\nscore = { column = 'score' }\n"
        "[event.amount]\ncolumn = 'paid'\ndecimal = ','\n"
        "[event.currency]\nconstant = 'EUR'\n"
        "[event.details]\nfloor = { column = 'floor', type = 'integer' }\n"
    )
    content = (
        "id,at,what,via,who,score,paid,floor\n"
        '1,2026-03-01 12:00,x,Desk,C-1,9,"12,50",2\n'
        "2,2026-03-01 12:00,x,Desk,C-2,,,\n"
    )
    first, second = (event(item) for item in results(tmp_path, content, text))
    assert first["event_id"] == "1/C-1"
    assert first["rating"] == {"scale": "nps", "score": 9}
    assert (first["amount"], first["currency"]) == ("12.50", "EUR")
    assert first["details"] == {"floor": 2}
    assert not {"rating", "amount", "currency", "details"} & set(second)


def test_unmapped_columns_are_kept_when_asked(tmp_path: Path) -> None:
    text = MAP.replace('"drop"', '"details"')
    content = LOG.replace("who\n", "who,Größe (cm)\n").replace("C-1\n", "C-1,180\n")
    content = content.replace("C-2\n", "C-2,\n")
    first, second = (event(item) for item in results(tmp_path, content, text))
    assert first["details"] == {"grosse_cm": "180"}
    assert second["details"] == {}
    with pytest.raises(
        CatalogError, match="map.toml:2: unmapped: column 'A-B' would be details.a_b"
    ):
        results(tmp_path, LOG.replace("who\n", "who,A B,A-B\n"), text)


_CELL = st.text(st.characters(min_codepoint=1, exclude_categories=("Cs",)), max_size=12)


@given(st.lists(st.lists(_CELL, min_size=5, max_size=5), max_size=5))
def test_every_row_has_one_result(tmp_path_factory: Any, rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        [["id", "at", "what", "via", "who"], *rows]
    )
    found = results(tmp_path_factory.mktemp("log"), text.getvalue())
    assert [item.number for item in found] == list(range(1, len(rows) + 1))


EXCERPT = """\
case:channel,case:concept:name,case:deadline,case:department,case:enddate,case:enddate_planned,\
case:group,case:responsible,case:startdate,concept:instance,concept:name,lifecycle:transition,\
org:group,org:resource,time:timestamp
Internet,case-1,2030-02-28 10:00:00+01:00,General,,2030-02-28 10:00:00+01:00,Group 9,Resource90,\
2030-01-02 10:00:00.5+01:00,task-1,Confirmation of receipt,complete,Group 9,Resource91,\
2030-01-02 10:30:00.25+01:00
Desk,case-2,2030-03-01 10:00:00+01:00,Experts,2030-02-01 10:00:00+01:00,2030-03-01 10:00:00+01:00,,\
Resource90,2030-01-03 10:00:00+01:00,task-2,T16 Report reasons to hold request,complete,Group 9,\
Resource91,2030-01-04 10:30:00+01:00
e-mail,case-3,2030-03-01 10:00:00+01:00,General,,2030-03-01 10:00:00+01:00,,Resource90,\
2030-01-03 10:00:00+01:00,task-3,T02 Check confirmation of receipt,complete,Group 9,Resource91,\
2030-07-04 10:30:00+02:00
Fax,case-4,2030-03-01 10:00:00+01:00,General,,2030-03-01 10:00:00+01:00,,Resource90,\
2030-01-03 10:00:00+01:00,task-4,T02 Check confirmation of receipt,complete,Group 9,Resource91,\
2030-01-04 10:30:00+01:00
"""


def receipt_rows(path: Path, name: str = "map.toml") -> tuple[list[Mapped | Unfit], Classifier]:
    loaded = catalog.load(RECEIPT / "catalog.toml")
    mapping = map_file.load(RECEIPT / name, loaded.channels)
    with open_log(path, mapping.mapping) as log:
        rows = list(Mapper(mapping, log, checker(loaded.channels, 262_144)).rows())
    return rows, Classifier(loaded.catalog)


def test_the_receipt_map_on_made_up_rows(tmp_path: Path) -> None:
    path = tmp_path / "receipt.csv"
    path.write_text(EXCERPT, encoding="utf-8")
    rows, classifier = receipt_rows(path)
    assert event(rows[0]) == {
        "event_id": "task-1",
        "schema_version": "1.0",
        "channel": "web",
        "action": "Confirmation of receipt",
        "occurred_at": "2030-01-02T10:30:00.250000+01:00",
        "promise_due_at": "2030-02-28T10:00:00+01:00",
        "identifiers": {"customer_id": "case-1"},
        "case_ids": {"request_id": "case-1"},
        "details": {
            "department": "General",
            "group": "Group 9",
            "responsible": "Resource90",
            "started_at": "2030-01-02 10:00:00.5+01:00",
            "planned_end_at": "2030-02-28 10:00:00+01:00",
            "transition": "complete",
            "resource": "Resource91",
            "resource_group": "Group 9",
        },
    }
    assert [event(row)["channel"] for row in rows[:3]] == ["web", "store", "email"]
    assert [classifier.classify(event(row)).touchpoint for row in rows[:3]] == [
        "receipt_confirmed", "hold_reported", "confirmation_checked",
    ]  # fmt: skip
    assert misfit(rows[3]) == (4, 5, "unknown_value", "channel")


def test_the_receipt_map_of_promises_adds_to_the_other(tmp_path: Path) -> None:
    path = tmp_path / "receipt.csv"
    path.write_text(EXCERPT, encoding="utf-8")
    rows, classifier = receipt_rows(path)
    more, _ = receipt_rows(path, "promises.toml")
    assert [event(row) for row in rows[:3]] == [event(row) for row in more[:3]]
    assert misfit(rows[3]) == misfit(more[3])
    told = [[beside.event for _, beside in row.also] for row in more[:3] if isinstance(row, Mapped)]
    assert [[(e["occurred_at"], e.get("promise_due_at")) for e in events] for events in told] == [
        [("2030-01-02T10:00:00.500000+01:00", "2030-02-28T10:00:00+01:00")],
        [
            ("2030-01-03T10:00:00+01:00", "2030-03-01T10:00:00+01:00"),
            ("2030-02-01T10:00:00+01:00", None),
        ],
        [("2030-01-03T10:00:00+01:00", "2030-03-01T10:00:00+01:00")],
    ]
    assert [[classifier.classify(e).touchpoint for e in events] for events in told] == [
        ["request_made"], ["request_made", "request_ended"], ["request_made"],
    ]  # fmt: skip
    assert [e["case_ids"]["request_id"] for events in told for e in events] == [
        "case-1", "case-2", "case-2", "case-3",
    ]  # fmt: skip


@pytest.mark.skipif(not REAL_LOG.exists(), reason="the real log is not beside this checkout")
def test_the_receipt_map_on_the_real_log() -> None:
    rows, classifier = receipt_rows(REAL_LOG)
    events = [event(row) for row in rows]
    assert len(events) == 8_577
    assert Counter(item["channel"] for item in events) == {
        "web": 7_478, "store": 657, "post": 308, "email": 128, "intern": 6,
    }  # fmt: skip
    assert len({item["identifiers"]["customer_id"] for item in events}) == 1_434
    assert len({item["event_id"] for item in events}) == 8_577
    touchpoints = Counter(classifier.classify(item).touchpoint for item in events)
    assert len(touchpoints) == 27
    assert touchpoints["receipt_confirmed"] == 1_434
    assert "unclassified" not in touchpoints


def test_the_model_of_a_map_is_strict() -> None:
    with pytest.raises(ValueError, match="unknown_key"):
        Mapping.model_validate({"source": "x", "unmapped": "drop", "event": {}, "unknown_key": 1})


def test_the_map_of_the_documentation(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "ingest.md").read_text(encoding="utf-8")
    shown = text.split("```toml\n")[1].split("```")[0]
    content = (
        "id,day,time,via,what,total,score,customer,waited\n"
        '7,25-12-2026,09:30,Desk,Visit (help),"1,50",9,C-7,12.5\n'
    )
    [made] = [event(row) for row in results(tmp_path, content, shown)]
    assert made == {
        "event_id": "7",
        "schema_version": "1.0",
        "channel": "store",
        "action": "visit_help",
        "occurred_at": "2026-12-25T09:30:00+01:00",
        "direction": "inbound",
        "amount": "1.50",
        "currency": "EUR",
        "rating": {"scale": "nps", "score": 9},
        "identifiers": {"customer_id": "C-7"},
        "details": {"wait_seconds": 12.5},
    }
