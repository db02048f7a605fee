"""Alerters killed at random moments: no moment without its alert, no trigger after a resolve."""

import os
import random
from subprocess import TimeoutExpired
from uuid import UUID

import pytest

from pipeline.alerts.journal import Journal
from tests.alert_line import a_moment, alert_line, check_told, resolved, with_routes
from tests.faults.results import noted
from tests.kafka import choice
from tests.waiting import until
from tests.webhook_receiver import Receiver, receiving

#: Kills in ``make test``; ``make test-faults`` sets 20 and more.
KILLS = int(os.environ.get("FAULT_CYCLES", "3"))

ROUTES = """
[[routes]]
id = "each"
rule = "message_unanswered"
to = ["desk", "flaky"]
group_by = "moment"

[[routes]]
id = "many"
to = "desk"
window = "30s"
update_every = "1s"
"""
LOOKED_AT = "SELECT count() FROM alert_records WHERE kind = 'moment'"


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_killed_at_random_and_started_again(tmp_path):
    dice = random.Random(2026)
    desk, flaky = Receiver(), Receiver(fails=0.3)
    home = tmp_path / "home"
    told = "no moment without its alert, no trigger after a resolve"
    with (
        noted(18, "alerter killed (SIGKILL) at random, endpoints fail 30 %", told) as result,
        receiving(desk),
        receiving(flaky),
    ):
        result.broker = "Apache Kafka" if choice.is_apache() else "embedded"
        catalog = with_routes(home, {"desk": desk, "flaky": flaky}, ROUTES)
        with alert_line(home, catalog) as line:
            pains, mended = [], []
            for cycle in range(KILLS):
                alerter = line.alerter()
                fresh = [
                    a_moment(
                        f"customer{cycle}.{number}",
                        rule=dice.choice(("message_unanswered", "low_csat", "bounced")),
                    )
                    for number in range(30)
                ]
                standing = [pain for pain in pains if pain not in mended]
                ends = dice.sample(standing, min(len(standing), 20)) + fresh[:5]
                before = line.line.count(LOOKED_AT)
                line.feed([*fresh, *map(resolved, ends)])
                pains, mended = [*pains, *fresh], [*mended, *ends]
                if cycle % 3:  # every third is killed while it starts
                    until(
                        lambda b=before, a=alerter: line.line.count(LOOKED_AT) > b or a.check(),
                        60,
                        "anything stored",
                    )
                with pytest.raises(TimeoutExpired):
                    alerter.process.wait(dice.uniform(0, 0.6))
                alerter.process.kill()
                alerter.process.wait()
            last = line.alerter()
            journal = Journal(line.line.client)
            closed = "SELECT count() FROM alert_moments WHERE moment_status = 'resolved'"
            until(lambda: line.line.count(closed) == len(mended) or last.check(), 120, "all seen")
            until(lambda: not journal.deliveries("pending") or last.check(), 120, "all delivered")
            check(line, desk, flaky, pains, mended)

            result.runs = result.faults = KILLS
            result.records = len(pains) + len(mended)
            result.lost = result.duplicated = result.wrong = 0


def check(line, desk, flaky, pains, mended):
    """Compare what was told with what there was to tell."""
    alerts = line.alerts_of()
    assert set(alerts) == {pain.moment_id for pain in pains}, "a moment without an alert"
    assert {UUID(item) for item in desk.moments("trigger", "update", "resolve")} == set(alerts)
    each = {str(pain.moment_id) for pain in pains if pain.rule == "message_unanswered"}
    assert flaky.moments("trigger") == each
    for receiver in (desk, flaky):
        check_told(receiver)
        assert not receiver.refused
    ended = {said["alert_id"] for said in flaky.notifications() if said["action"] == "resolve"}
    over = {pain.moment_id for pain in mended}
    assert ended == {str(alerts[UUID(item)]) for item in each if UUID(item) in over}
    counted = line.rows(
        "SELECT alert_id, moments, open_moments FROM alerts ORDER BY alert_id",
    )
    expected = {}
    for moment, alert in alerts.items():
        count, standing = expected.get(alert, (0, 0))
        expected[alert] = (count + 1, standing + (moment not in over))
    assert {row[0]: row[1:] for row in counted} == expected
