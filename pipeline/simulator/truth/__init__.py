"""Which moments of truth there are in a customer's life.

One function a rule, or a few rules of a kind, written from what the rules mean in words and not
read from the catalog. ``notes`` has what they look at and what they say; read ``promised``,
``service``, ``shopping``, ``said``, ``sent``, and ``whole`` for what several moments together make.
"""

from __future__ import annotations

from pipeline.simulator.hours import Clock
from pipeline.simulator.truth import promised, said, sent, service, shopping, whole
from pipeline.simulator.truth.notes import Found, Note, Notes

__all__ = ["Found", "Note", "moments"]

_RULES = (*promised.RULES, *service.RULES, *shopping.RULES, *said.RULES, *sent.RULES)


def moments(life: Notes, clock: Clock) -> list[Found]:
    """Return the moments of a customer, as known at the end of a simulation.

    Args:
        life: What happened to the customer, in the order of (time, event id).
        clock: Opening hours, and the end.
    """
    found = [item for rule in _RULES for item in rule(life, clock)]
    together = [
        *whole.unsubscribed_after_many(life, found),
        *whole.recovered(life, found),
    ]
    found += together
    found += whole.three_strikes(found, clock.end)
    return sorted(found, key=lambda item: (item.occurred_at, item.rule, item.cause))
