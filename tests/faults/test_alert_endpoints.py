"""Endpoints of alerts that are down, fail, hang or lead inside, beside a worker under load."""

from contextlib import ExitStack

import pytest

from jobs.drain import wait_until_told
from pipeline.alerts.journal import Journal
from tests.alert_line import check_told, with_routes
from tests.faults.harness import PATIENCE, trial
from tests.faults.load import Load
from tests.waiting import until
from tests.webhook_receiver import Receiver, receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROUTES = """
[[routes]]
id = "each"
to = ["good", "flaky", "down", "hanging", "astray"]
group_by = "moment"
"""
#: Told in the end; the others never answer, or lead where nobody may go.
REACHED = ("good", "flaky", "down")
TRIED = "SELECT count() FROM alert_deliveries WHERE destination = {to:String} AND attempts > 0"
OPEN_PAINS = "SELECT moment_id FROM moments WHERE kind = 'pain' AND status = 'open'"
WHY = "SELECT DISTINCT detail FROM alert_deliveries WHERE destination = 'astray' AND detail != ''"


def test_endpoints_in_trouble_under_load(tmp_path):
    receivers = {
        "good": Receiver(),
        "flaky": Receiver(fails=0.3),
        "down": Receiver(),
        "hanging": Receiver(hangs=True),
        "astray": Receiver(leads="http://169.254.169.254/latest/meta-data/"),
    }
    with ExitStack() as stack:
        for name, receiver in receivers.items():
            if name != "down":
                stack.enter_context(receiving(receiver))
        with receiving(receivers["down"]) as down:
            port = int(down.url.rsplit(":", 1)[1].split("/")[0])
        routed = with_routes(tmp_path / "routes", receivers, ROUTES, hanging='timeout = "1s"')
        run = stack.enter_context(
            trial(
                tmp_path, 18, "alert endpoints: one down and back, 30 % errors, one hangs, one "
                "redirects inside; worker under load",
                "ingest goes on; all told at least once and in order; redirect refused",
                catalog=routed,
            )
        )  # fmt: skip
        alerter = run.alerter()
        worker = run.worker()
        Load(run).refill()
        until(
            lambda: run.line.count(TRIED, to="down") or alerter.check() or worker.check(),
            PATIENCE,
            "a try to reach who is down",
        )
        run.faults += len(receivers) - 1
        stack.enter_context(receiving(down, port))
        run.finish(worker)
        wait_until_told(run.line.settings, alerter)
        journal = Journal(run.line.client)
        for name in REACHED:
            until(
                lambda to=name: (
                    not journal.deliveries("pending", destination=to) or alerter.check()
                ),
                PATIENCE,
                f"all told to {name}",
            )
        pains = {str(row[0]) for row in run.line.client.query(OPEN_PAINS).result_rows}
        assert len(pains) > 50
        told = {name: receivers[name].moments("trigger") for name in receivers}
        assert pains <= told["good"]
        assert told["flaky"] == told["down"] == told["good"]
        for name in REACHED:
            check_told(receivers[name])
            assert not receivers[name].refused
        assert not told["hanging"] | told["astray"]
        assert any("redirect" in row[0] for row in run.line.client.query(WHY).result_rows)
