"""ClickHouse that is away, slow, in trouble, or loses its answers: one copy of everything."""

from __future__ import annotations

import pytest

from pipeline.simulator import Plan
from tests.faults.harness import log_of, trial
from tests.faults.http_proxy import (
    MEMORY,
    NO_SPACE,
    TABLE_IS_READ_ONLY,
    TIMEOUT,
    TOO_MANY_PARTS,
    Fault,
)

SMALL = {"batch_rows": 300, "batch_seconds": 0.05}
PLAN = Plan(customers=120, days=30, seed=31)
#: Every table that a worker writes while it works.
WRITTEN = (
    "interaction_records",
    "rejections",
    "moment_records",
    "promise_records",
    "detection_progress",
    "customer_changes",
    "step_records",
    "journey_records",
)


def test_answers_lost_after_success_and_requests_lost_before_leave_one_copy(tmp_path):
    with trial(
        tmp_path, 5, "answers cut off after success, requests cut off, for every table written",
        "one copy", **SMALL,
    ) as run:  # fmt: skip
        run.line.produce(PLAN)
        lost = [Fault("lose_answer", f"INSERT INTO {table}", 2, every=3) for table in WRITTEN]
        cut = [Fault("cut", f"INSERT INTO {table}", 1, every=5) for table in WRITTEN]
        for fault in [*cut, *lost, Fault("lose_answer", "SELECT", 5, every=9)]:
            run.clickhouse.inject(fault)
        run.finish()
        print([f.done for f in lost], [f.done for f in cut])
        assert all(fault.done for fault in lost), [fault.statement for fault in lost if not fault.done]
