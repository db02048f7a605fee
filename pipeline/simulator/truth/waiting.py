"""What a customer waited for in vain."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.simulator.truth.notes import Found, Notes, Test, after, mended, never, overdue


def in_vain(
    rule: str, notes: Notes, asks: Test, gets: Test, due: Callable[[int], int], end: int,
    open_for: int, drops: Test = never, anew: bool = False,
) -> list[Found]:  # fmt: skip
    """Return the pains of what did not come until it was due.

    Args:
        rule: Rule that says so.
        notes: What happened, of what belongs together.
        asks: What begins the waiting.
        gets: What is waited for; it mends the pain as well, if it comes later.
        due: Returns when what began then is due.
        end: End of the simulation: what is due later is not known yet.
        open_for: How long after it was due it can be mended.
        drops: What ends the waiting otherwise; if it comes later, there was no pain.
        anew: Whether the waiting begins anew when it is asked for again.
    """
    found = []
    for place, note in enumerate(notes):
        if asks(note) and due(note.at) < end:
            until = due(note.at)
            stops = _first(notes[place + 1 :], until, gets, drops, asks if anew else never)
            if not stops:
                item = overdue(rule, note, until)
                found.append(mended(item, after(notes, until), open_for, gets, drops))
    return found


def _first(notes: Notes, until: int, *tests: Test) -> bool:
    """Return whether anything of the kind comes until then."""
    for note in notes:
        if note.at > until:
            return False
        if any(test(note) for test in tests):
            return True
    return False
