"""Events that can only end something, until something begins."""

from __future__ import annotations

from pipeline.moments.candidates import Part
from pipeline.moments.notes import KEPT, UNTIL, Entry, Note
from pipeline.moments.passing import Passing


def _note(at: int, event_id: str) -> Note:
    return Note(at, event_id, "web", "order", "buy", "")


def test_what_is_kept_of_a_subject() -> None:
    passing, note = Passing(), _note(5, "a")
    passing.add("ann", note, [Part(1, "", UNTIL, ()), Part(2, "case:x", KEPT, ())], 0)
    assert list(passing.of("ann", 1, "")) == [Entry(5, "a", UNTIL, note)]
    assert list(passing.of("ann", 2, "case:x")) == [Entry(5, "a", KEPT, note)]
    assert not list(passing.of("ann", 2, "case:y"))
    assert not list(passing.of("bob", 1, ""))


def test_it_is_there_as_long_as_it_can_matter_and_then_goes() -> None:
    passing = Passing()
    for at in range(10):
        passing.forget(at)
        passing.add("ann", _note(at, str(at)), [Part(1, "", UNTIL, ())], 0)
        passing.add("ann", _note(at, str(at)), [Part(2, "", KEPT, ())], 3)
        ended = {entry.at for entry in passing.of("ann", 1, "")}
        answered = {entry.at for entry in passing.of("ann", 2, "")}
        assert at in ended
        assert ended <= {at, at - 1, at - 2}
        assert set(range(max(at - 3, 0), at + 1)) <= answered
        assert min(answered) >= at - 8
    passing.forget(9)
    assert 9 in {entry.at for entry in passing.of("ann", 1, "")}
    passing.forget(10)
    assert not list(passing.of("ann", 1, ""))
    passing.forget(13)
    assert not list(passing.of("ann", 2, ""))


def test_a_customer_is_begun_anew() -> None:
    passing = Passing()
    for customer in ("ann", "bob"):
        passing.add(customer, _note(5, customer), [Part(1, "", UNTIL, ())], 0)
    passing.forget(5)  # now in the older half
    passing.add("ann", _note(6, "later"), [Part(1, "", UNTIL, ())], 7)
    passing.drop("ann")
    assert not list(passing.of("ann", 1, ""))
    assert [entry.event_id for entry in passing.of("bob", 1, "")] == ["bob"]
