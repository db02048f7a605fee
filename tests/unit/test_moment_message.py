"""What the topic of moments carries is what its contract says, to the byte."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest

from pipeline.moments.statements import message
from pipeline.warehouse.ledger_rows import MomentRow
from schemas.moment import MOMENT_VERSION, Moment

_AT = datetime(2026, 9, 1, 8, 30, 0, tzinfo=timezone.utc)


def _row(**values: object) -> MomentRow:
    fields: dict[str, object] = {
        "schema_version": MOMENT_VERSION,
        "moment_id": UUID(int=7),
        "revision": 2,
        "status": "resolved",
        "kind": "pain",
        "severity": "high",
        "rule": "low_nps",
        "rule_version": "v",
        "catalog_version": "c",
        "customer_key": "f" * 32,
        "subject": 'case_id:Zürich \u2028\x00\x1f"\\/',
        "segment": "",
        "touchpoint": "nps_survey",
        "channel": "web",
        "need": "get_help",
        "owner": "Customer service",
        "text": "ein 'Gruß' 👋\n",
        "cause": "e-1",
        "evidence": ["e-1", "e-2"],
        "cause_at": _AT,
        "occurred_at": _AT + timedelta(microseconds=123_400),
        "due_at": None,
        "closed_at": _AT + timedelta(seconds=1, microseconds=1),
        "closed_by": "e-3",
        "detected_at": _AT,
        "changed_at": _AT,
        "partition": 3,
        "watermark": _AT,
    }
    return MomentRow(**{**fields, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [{}, {"due_at": _AT, "closed_at": None}, {"evidence": [], "status": "withdrawn"}],
)
def test_a_message_is_what_the_model_writes(values: dict[str, object]) -> None:
    row = _row(**values)
    fields = row._asdict()
    del fields["partition"], fields["watermark"]
    assert message(row) == Moment(**fields).model_dump_json().encode()
    assert Moment.model_validate_json(message(row)) == Moment(**fields)
