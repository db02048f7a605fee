"""Valid interactions for tests, and a hypothesis strategy that makes more."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st


def event(**changes: Any) -> dict[str, Any]:
    """Return a valid web interaction; a change to None removes the field."""
    made: dict[str, Any] = {
        "event_id": "e-1",
        "schema_version": "1.0",
        "channel": "web",
        "action": "page_view",
        "occurred_at": "2026-10-01T12:34:56.789Z",
        "identifiers": {"customer_id": "C-1"},
        "details": {"page_type": "product"},
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


_line = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x10FFFF, exclude_categories=("Cs", "Cc")),
    min_size=1,
    max_size=40,
)
_name = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
_FIRST, _LAST = datetime(1971, 1, 1), datetime(2099, 1, 1)  # noqa: DTZ001  # wanted naive
_instant = st.datetimes(_FIRST, _LAST, timezones=st.just(timezone.utc)).flatmap(
    lambda at: st.integers(-14, 14).map(
        lambda hours: at.astimezone(timezone(timedelta(hours=hours))).isoformat()
    )
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | _line,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_line, inner, max_size=3),
    max_leaves=6,
)

#: Valid interactions of every channel, with unknown fields here and there.
events = st.fixed_dictionaries(
    {
        "event_id": _line,
        "schema_version": st.sampled_from(["1.0", "1.7"]),
        "channel": st.sampled_from(["web", "email", "phone", "store", "mail"]),
        "action": _line,
        "occurred_at": _instant,
        "identifiers": st.dictionaries(
            st.sampled_from(["customer_id", "email", "phone", "loyalty_card", "device"]),
            _line,
            min_size=1,
        ),
    },
    optional={
        "sent_at": _instant,
        "case_ids": st.dictionaries(_name, _line, max_size=3),
        "segment": _line,
        "need": _name,
        "language": st.sampled_from(["en", "nl-BE", "zh-Hant-TW"]),
        "rating": st.fixed_dictionaries(
            {"scale": st.just("nps"), "score": st.integers(0, 10)}, optional={"comment": _line}
        ),
        "sentiment": st.floats(-1, 1),
        "promise_due_at": _instant,
        "direction": st.sampled_from(["inbound", "outbound"]),
        "details": st.fixed_dictionaries({}, optional={"campaign": _line, "x_unknown": _json}),
        "x_extra": _json,
    },
)
