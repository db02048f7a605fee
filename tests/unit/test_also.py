"""Further interactions that rows tell of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import CatalogError
from pipeline.mapping import besides
from pipeline.mapping.mapped import Mapped, Unfit
from tests.unit.logs import MAP, event, loaded_map, misfit, results

ROOT = Path(__file__).resolve().parent.parent.parent
ALSO = (
    MAP
    + """
[event.case_ids]
order_id = { column = "order" }

[event.details]
page = { column = "what" }

[[also]]
id = "paid"
once_per = ["order"]
action = { constant = "order_paid" }
occurred_at = { column = "paid_at", zone = "Europe/Amsterdam" }

[[also]]
id = "sent"
action = { constant = "parcel_sent" }
occurred_at = { column = "sent_on", formats = ["%d-%m-%Y"], zone = "UTC" }
channel = { constant = "post" }
identifiers.loyalty_card = { column = "card" }
details = { weight = { column = "kg", type = "number" } }
"""
)

HEADER = "id,at,what,via,who,order,paid_at,sent_on,card,kg\n"
ROWS = HEADER + (
    "1,2026-03-01 12:00:00,view,Internet,C-1,O-1,,,,\n"
    "2,2026-03-01 12:05:00,view,Internet,C-1,O-1,2026-03-01 13:00:00,,,\n"
    "3,2026-03-01 12:06:00,visit,Desk,C-1,O-1,2026-03-01 14:00:00,02-03-2026,L-1,1.5\n"
    "4,2026-03-01 12:07:00,visit,Desk,C-2,O-2,2026-03-01 15:00:00,02-03-2026,L-2,\n"
)


def also(found: Mapped | Unfit) -> list[dict[str, Any]]:
    assert isinstance(found, Mapped), found
    return [decoded.event for _, decoded in found.also]


def test_a_row_tells_of_more_where_a_time_is_there(tmp_path: Path) -> None:
    found = results(tmp_path, ROWS, ALSO)
    assert [event(row)["event_id"] for row in found] == ["1", "2", "3", "4"]
    assert [[item["action"] for item in also(row)] for row in found] == [
        [], ["order_paid"], ["parcel_sent"], ["order_paid", "parcel_sent"],
    ]  # fmt: skip
    (paid,) = also(found[1])
    assert paid == {
        "event_id": paid["event_id"],
        "schema_version": "1.0",
        "channel": "web",
        "action": "order_paid",
        "occurred_at": "2026-03-01T13:00:00+01:00",
        "identifiers": {"customer_id": "C-1"},
        "case_ids": {"order_id": "O-1"},
    }
    (sent,) = also(found[2])
    assert sent == {
        "event_id": sent["event_id"],
        "schema_version": "1.0",
        "channel": "post",
        "action": "parcel_sent",
        "occurred_at": "2026-03-02T00:00:00+00:00",
        "identifiers": {"loyalty_card": "L-1"},
        "case_ids": {"order_id": "O-1"},
        "details": {"weight": 1.5},
    }


def test_its_event_ids_are_its_own_and_stay(tmp_path: Path) -> None:
    def ids(content: str, text: str = ALSO) -> list[str]:
        return [item["event_id"] for row in results(tmp_path, content, text) for item in also(row)]

    before = ids(ROWS)
    assert len(set(before)) == len(before) == 4
    header, *rows = ROWS.splitlines()
    assert sorted(ids("\n".join([header, *reversed(rows)]))) == sorted(before)
    # one for every row is named after the row's own id, also where its number makes that
    numbered = ids(ROWS, ALSO.replace('{ column = "id" }', "{ uuid_of_row = true }"))
    assert [ours == theirs for ours, theirs in zip(before, numbered, strict=True)] == [
        True, False, True, False,
    ]  # fmt: skip
    assert not set(before) & set(ids(ROWS, ALSO.replace("shop-log", "other-log")))
    renamed = ids(ROWS, ALSO.replace('id = "paid"', 'id = "settled"'))
    assert [ours == theirs for ours, theirs in zip(before, renamed, strict=True)] == [
        False, True, False, True,
    ]  # fmt: skip


def test_a_row_fits_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    content = HEADER + (
        "1,2026-03-01 12:00:00,view,Fax,C-1,O-1,2026-03-01 13:00:00,,,\n"
        "2,2026-03-01 12:05:00,view,Desk,C-1,O-1,2026-03-01 13:00:00,soon,L-1,\n"
        "3,2026-03-01 12:05:00,view,Desk,C-1,O-1,2026-03-01 13:00:00,02-03-2026,,\n"
        "4,2026-03-01 12:05:00,view,Desk,C-1,O-1,2026-03-01 13:00:00,02-03-2026,L-1,x\n"
        "5,2026-03-01 12:05:00,view,Desk,C-1,,2026-03-01 13:00:00,,L-1,\n"
        "6,2026-03-01 12:05:00,view,Desk,C-1,O-1,2026-03-01 13:00:00,,,\n"
    )
    found = results(tmp_path, content, ALSO)
    assert [misfit(row) for row in found[:-1]] == [
        (1, 2, "unknown_value", "channel"),
        (2, 3, "invalid_time", "also.sent.occurred_at"),
        (3, 4, "missing_field", "also.sent.identifiers"),
        (4, 5, "invalid_number", "also.sent.details.weight"),
        (5, 6, "missing_value", "also.paid.event_id"),
    ]
    assert [item["action"] for item in also(found[-1])] == ["order_paid"]  # told of here at last


def test_only_so_many_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(besides, "REMEMBERED", 2)
    orders = ["O-1", "O-2", "O-1", "O-3", "O-1", "O-2"]
    content = HEADER + "".join(
        f"{number},2026-03-01 12:00:00,view,Desk,C-1,{order},2026-03-01 13:00:00,,,\n"
        for number, order in enumerate(orders)
    )
    told = [
        [item["case_ids"]["order_id"] for item in also(r)] for r in results(tmp_path, content, ALSO)
    ]
    assert told == [["O-1"], ["O-2"], [], ["O-3"], [], ["O-2"]]


@pytest.mark.parametrize(
    ("old", "new", "where", "told"),
    [
        ('id = "sent"', 'id = "paid"', "also.paid.id", "'paid' is there twice"),
        ('id = "sent"\n', "", "also.2.id", "missing"),
        ('constant = "post"', 'constant = "fax"', "also.sent.channel.constant", "not a channel"),
        ('once_per = ["order"]', "once_per = []", "also.paid.once_per", "at least 1 item"),
        (
            'once_per = ["order"]',
            'event_id = { column = "order" }',
            "also.paid.event_id",
            "unknown",
        ),
        ('once_per = ["order"]', "amount.column = 'kg'", "also.paid", "need each other"),
        ('once_per = ["order"]', "direction.constant = 'in'", "also.paid.direction", "inbound"),
        ('once_per = ["order"]', 'once_per = ["Order"]', "also.paid.once_per", "no column 'Order'"),
        ('column = "paid_at"', 'column = "paid"', "also.paid.occurred_at", "no column 'paid'"),
    ],
)
def test_a_wrong_section_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, where: str, told: str
) -> None:
    assert old in ALSO
    with pytest.raises(CatalogError, match=told) as caught:
        results(tmp_path, ROWS, ALSO.replace(old, new))
    (problem,) = caught.value.problems
    assert problem.where.startswith(where)
    assert problem.line > MAP.count("\n")


def test_a_column_that_only_such_a_section_names_is_no_detail(tmp_path: Path) -> None:
    text = ALSO.replace('"drop"', '"details"')
    header, *rows = ROWS.splitlines()
    found = results(tmp_path, "\n".join([f"{header},mood", *(f"{row},good" for row in rows)]), text)
    assert event(found[0])["details"] == {"page": "view", "mood": "good"}
    assert all("mood" not in item.get("details", {}) for row in found for item in also(row))


def test_without_such_a_section_nothing_more_is_told(tmp_path: Path) -> None:
    assert not loaded_map(tmp_path, MAP).mapping.also
    assert [also(row) for row in results(tmp_path, ROWS, MAP)] == [[], [], [], []]


def test_the_section_of_the_documentation(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "ingest.md").read_text(encoding="utf-8")
    shown = text.split("```toml\n[[also]]")[1].split("```")[0]
    found = results(tmp_path, ROWS, MAP + "[[also]]" + shown)
    assert [[item["action"] for item in also(row)] for row in found] == [
        [], ["order_paid"], [], ["order_paid"],
    ]  # fmt: skip
