"""Which rejects are sent again, and as what."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from pipeline.errors import FatalError, RejectedRecord, SettingsError
from pipeline.rejects import Reject
from pipeline.replay import ranges, rejected
from pipeline.replay.rejected import Judge, Kept, Place, Selection
from pipeline.settings import Settings

TOPIC_ID = UUID(int=7)
AT = 1_790_000_000_000


def reject(offset: int, value: bytes = b"ok", reason: str = "too_large") -> Reject:
    at = datetime.fromtimestamp(AT / 1000, timezone.utc)
    cause = RejectedRecord(reason, "words")
    headers = (("trace", b"1"), ("touchline-reason", b"of the producer"))
    return Reject("web", TOPIC_ID, 3, offset, at, b"key", value, headers, cause)


def as_record(message: Any, offset: int = 0) -> Any:
    key, value, headers = message
    return SimpleNamespace(
        partition=1, offset=offset, timestamp=AT, key=key, value=value, headers=headers
    )


def kept(offset: int, **changes: Any) -> Kept:
    found = rejected._kept(as_record(reject(offset, **changes).message()))
    assert found is not None
    return found


def judge(
    limit: int | None = None, replayed: frozenset[Place] = frozenset(), **asked: Any
) -> Judge:
    def check(value: bytes | None) -> None:
        if value == b"bad":
            raise RejectedRecord("invalid_json", "no")

    return Judge(Selection(**asked), replayed, {"web": 4}, check, limit)


def nothing_stored(places: list[Any]) -> list[bool]:
    return [True] * len(places)


def test_a_reject_goes_back_as_it_came() -> None:
    found = kept(5)
    sent = rejected.again(found, {"web": 4})
    place = f"web[3]@5 {TOPIC_ID}".encode()
    assert (sent["topic"], sent["partition"]) == ("web", 3)
    assert (sent["key"], sent["value"]) == (b"key", b"ok")
    assert sent["headers"] == [("trace", b"1"), ("touchline-replay-of", place)]
    assert rejected.again(found, {"web": 2})["partition"] is None, "there is no such partition now"
    # rejected once more: it says what it replays now, not what that replayed
    second = replace(reject(9), headers=tuple(sent["headers"]))
    again = rejected._kept(as_record(second.message()))
    assert again is not None
    assert rejected.again(again, {"web": 4})["headers"] == [
        ("trace", b"1"),
        ("touchline-replay-of", f"web[3]@9 {TOPIC_ID}".encode()),
    ]


def test_the_mark_is_told_from_a_reject_and_names_its_place() -> None:
    made = rejected.mark(kept(5), "rejects")
    assert (made["topic"], made["partition"], made["value"]) == ("rejects", 1, b"")
    found = rejected._kept(as_record((made["key"], made["value"], made["headers"])))
    assert found is not None
    assert found.replayed
    assert found.place == kept(5).place
    assert not kept(5).replayed


def test_what_somebody_else_wrote_there_is_no_reject() -> None:
    assert rejected._kept(as_record((b"k", b"v", [("x", b"y")]))) is None


def test_every_reject_is_counted_once_as_one_thing() -> None:
    chosen = judge(limit=2, replayed=frozenset({kept(1).place}))
    shortened = rejected._kept(as_record(reject(4).shortened()))
    assert shortened is not None
    found = [kept(1), kept(2), kept(2), kept(3, value=b"bad"), shortened, kept(6), kept(7), kept(8)]
    sent = chosen.wanted(found, lambda places: [at != 8 for _, at in places])
    told = chosen.outcome
    assert [each.place.offset for each in sent] == [2, 6]
    assert (told.selected, told.sent, told.replayed, told.stored) == (7, 2, 1, 1)
    assert (told.refused, told.shortened, told.beyond) == ({"invalid_json": 1}, 1, 1)
    assert told.unsent == 2
    parts = told.sent + told.replayed + told.stored + told.unsent + told.beyond
    assert parts == told.selected


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 2),
        ({"reasons": frozenset({"too_large"})}, 1),
        ({"topics": frozenset({"email"})}, 0),
        ({"since": datetime.fromtimestamp(AT / 1000, timezone.utc)}, 2),
        ({"until": datetime.fromtimestamp(AT / 1000, timezone.utc)}, 0),
    ],
)
def test_selections(asked: dict[str, Any], count: int) -> None:
    found = [kept(1), kept(2, reason="missing_field")]
    assert len(judge(**asked).wanted(found, nothing_stored)) == count


def test_a_topic_that_is_gone() -> None:
    chosen = Judge(Selection(), frozenset(), {}, lambda value: None, None)
    assert chosen.wanted([kept(1)], nothing_stored) == []
    assert (chosen.outcome.homeless, chosen.outcome.unsent) == (1, 1)


def test_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(kafka="nowhere:1")
    starts = {("web", 0): 5, ("web", 1): 0, ("email", 0): 0}
    ends = {("web", 0): 50, ("web", 1): 50, ("email", 0): 9}
    done = {("web", 0): 40, ("web", 1): 20}

    def bounds(_: Settings, names: list[str]) -> Any:
        return starts, {place: end for place, end in ends.items() if place[0] in names}

    monkeypatch.setattr(ranges.group, "bounds", bounds)
    monkeypatch.setattr(ranges.group, "committed", lambda _: done)

    def found(*wanted: str, **start: Any) -> list[tuple[Any, ...]]:
        start = start or {"beginning": True}
        names = ["web", "email"]
        return [
            (*each.place, each.first, each.end)
            for each in ranges.ranges(settings, names, list(wanted), ranges.Start(**start))
        ]

    assert found() == [("web", 0, 5, 40), ("web", 1, 0, 20)]
    assert found("web:1") == [("web", 1, 0, 20)]
    assert found("web:1", "email") == [("web", 1, 0, 20)], "nobody has read email yet"
    assert found("web", offset=30) == [("web", 0, 30, 40)], "nothing goes forward"
    with pytest.raises(FatalError, match="--from-offset 5"):
        found("web", offset=2)
    with pytest.raises(SettingsError, match="0 to 1"):
        found("web:2")
    with pytest.raises(SettingsError, match="one of email, web"):
        found("phone")
