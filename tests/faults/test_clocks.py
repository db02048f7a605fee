"""Time that is not as it should be: out of order, late, of the future, of skewed clocks, DST."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from pipeline.simulator import Plan
from tests.faults.harness import trial
from tests.faults.sending import send, tally, valid

pytestmark = pytest.mark.timeout(600)


@pytest.mark.slow
def test_out_of_order_and_late(tmp_path):
    with trial(
        tmp_path, 15, "a fifth of the events out of order, a twentieth hours to days late, a tenth "
        "twice", "as the sorted oracle finds", batch_rows=200, batch_seconds=0.05,
    ) as run:  # fmt: skip
        plan = Plan(customers=200, days=30, seed=151, late=0.05, out_of_order=0.2, duplicates=0.1)
        run.line.produce(plan)
        run.faults = sum(1 for truth in run.line.truth.values() if truth.late or truth.out_of_order)
        run.finish()


@pytest.mark.slow
def test_clocks_that_are_wrong_and_the_hour_that_comes_twice(tmp_path):
    with trial(
        tmp_path, 15, "producer clocks ahead by minutes to a year, behind by days to years; the "
        "hour that comes twice in autumn", "in order; the future flagged, taken as of now",
    ) as run:  # fmt: skip
        now = datetime.now(timezone.utc)
        ahead = [timedelta(minutes=20), timedelta(days=1), timedelta(days=365)] * 20
        behind = [timedelta(minutes=20), timedelta(days=2), timedelta(days=2_000)] * 20
        values = [
            valid(n, occurred_at=(now + by).isoformat(), identifiers={"customer_id": f"A-{n}"})
            for n, by in enumerate(ahead)
        ]
        values += [
            valid(n, occurred_at=(now - by).isoformat(), identifiers={"customer_id": f"B-{n}"})
            for n, by in enumerate(behind, 1_000)
        ]
        # one customer, from 02:30 in summer time to 02:30 in winter time an hour later, reversed
        twice = [
            ("2026-10-25T02:59:00+01:00", 2_003),
            ("2026-10-25T02:30:00+01:00", 2_002),
            ("2026-10-25T02:45:00+02:00", 2_001),
            ("2026-10-25T02:30:00+02:00", 2_000),
        ]
        values += [valid(n, occurred_at=at, identifiers={"customer_id": "DST"}) for at, n in twice]
        send(run, values)
        run.line.drain(run.worker())
        run.faults = len(values)
        tally(run, len(values), {})
        flagged = Counter(
            dict(
                run.line.client.query(
                    "SELECT clock, count() FROM interactions GROUP BY clock"
                ).result_rows
            )
        )
        assert flagged["future"] == len(ahead)
        latest = run.line.count("SELECT max(occurred_at) FROM interactions")
        assert latest <= datetime.now(timezone.utc) + timedelta(seconds=1)
        order = "SELECT event_id FROM steps WHERE event_id LIKE 'e-200%' ORDER BY occurred_at"
        found = [row[0] for row in run.line.client.query(order).result_rows]
        assert found == [f"e-{number}" for number in range(2_000, 2_004)]
