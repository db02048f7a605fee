"""A real alerter against real HTTP servers: the good, the flaky, the hanging, the treacherous."""

from collections import Counter
from contextlib import ExitStack
from time import monotonic

import pytest

from pipeline.alerts.journal import Journal
from tests.alert_line import a_moment, alert_line, check_told, resolved, with_routes
from tests.waiting import until
from tests.webhook_receiver import Receiver, receiving

pytestmark = pytest.mark.integration

SENT = """
SELECT destination, countIf(status = 'sent') FROM alert_deliveries GROUP BY destination
"""
EACH = """
[[routes]]
id = "each"
to = [{to}]
group_by = "moment"
"""
MANY = """
[[routes]]
id = "many"
to = "desk"
update_every = "2s"
"""


def names(receivers):
    return ", ".join(f'"{name}"' for name in receivers)


def test_each_receiver_by_itself(tmp_path):
    """One that fails, hangs or redirects inside delays nobody else, and loses nothing."""
    receivers = {
        "good": Receiver(),
        "flaky": Receiver(fails=0.3),
        "hanging": Receiver(hangs=True),
        "astray": Receiver(leads="http://169.254.169.254/latest/meta-data/"),
    }
    with ExitStack() as stack:
        for receiver in receivers.values():
            stack.enter_context(receiving(receiver))
        home = tmp_path / "home"
        catalog = with_routes(
            home, receivers, EACH.format(to=names(receivers)), hanging='timeout = "1s"'
        )
        line = stack.enter_context(alert_line(home, catalog))
        alerter = line.alerter()
        pains = [a_moment(f"customer{number:02}") for number in range(40)]
        ids = {str(pain.moment_id) for pain in pains}
        line.feed(pains)
        good, flaky = receivers["good"], receivers["flaky"]
        until(lambda: good.moments("trigger") == ids or alerter.check(), 60, "all told")
        line.feed([resolved(pain) for pain in pains[:30]])
        for receiver in (good, flaky):
            until(
                lambda r=receiver: (
                    Counter(said["action"] for said in r.notifications())["resolve"] >= 30
                    and r.moments("trigger") == ids  # those that stay open may be tried again yet
                    or alerter.check()
                ),
                60,
                "all that is mended told",
            )
            check_told(receiver)
            assert not receiver.refused
        assert not receivers["hanging"].told
        assert not receivers["astray"].told

        said = good.notifications()[0]
        assert said["owner"] == "Customer service"
        assert "waits for an answer" in said["text"]
        expected = {"good": 70, "flaky": 70, "hanging": 0, "astray": 0}
        until(lambda: dict(line.rows(SENT)) == expected or alerter.check(), 30, "all recorded")
        (why,) = line.rows(
            "SELECT any(detail) FROM alert_deliveries WHERE destination = 'astray' AND detail != ''"
        )[0]
        assert "redirect" in why
        assert line.rows("SELECT status, count() FROM alerts GROUP BY status ORDER BY status") == [
            ("closed", 30),
            ("open", 10),
        ]


def test_ten_thousand_pains_are_one_message_and_updates(tmp_path):
    with receiving(Receiver()) as desk:
        home = tmp_path / "home"
        with alert_line(home, with_routes(home, {"desk": desk}, MANY)) as line:
            alerter = line.alerter()
            pains = [a_moment(f"customer{number:05}") for number in range(10_000)]
            began = monotonic()
            line.feed(pains)
            until(
                lambda: (
                    max((said["count"] for said in desk.notifications()), default=0) == 10_000
                    or alerter.check()
                ),
                90,
                "the last of them counted",
            )
            seconds = monotonic() - began
            said = desk.notifications()
            actions = Counter(item["action"] for item in said)
            assert actions["trigger"] == 1
            assert actions["update"] <= seconds / 2 + 1
            assert len({item["alert_id"] for item in said}) == 1
            assert said[-1]["open"] == 10_000
            assert len(said[-1]["customers"]) == 10
            check_told(desk)
            alerts = set(line.alerts_of().values())
            assert len(line.alerts_of()) == 10_000
            assert len(alerts) == 1


def test_down_for_a_while_then_told_in_order(tmp_path):
    """What a dead endpoint was to be told waits in the outbox, also over a restart."""
    down = Receiver()
    with receiving(down):
        port = int(down.url.rsplit(":", 1)[1].split("/")[0])
    home = tmp_path / "home"
    with alert_line(home, with_routes(home, {"desk": down}, EACH.format(to='"desk"'))) as line:
        alerter = line.alerter()
        pains = [a_moment(f"customer{number}") for number in range(5)]
        line.feed([*pains, *map(resolved, pains)])
        tried = "SELECT count() FROM alert_deliveries WHERE attempts > 0"
        until(lambda: line.line.count(tried) > 0 or alerter.check(), 60, "a try")
        alerter.stop()
        assert alerter.process.returncode == 0
        again = line.alerter()
        with receiving(down, port):
            until(lambda: len(down.notifications()) >= 10 or again.check(), 90, "all told")
            check_told(down)
            assert down.moments("trigger") == {str(pain.moment_id) for pain in pains}
            # taken by the receiver is not yet recorded here
            journal = Journal(line.line.client)
            until(lambda: not journal.deliveries("pending"), 30, "all recorded")


def test_one_tells_and_another_stands_by(tmp_path):
    with receiving(Receiver()) as desk:
        home = tmp_path / "home"
        with alert_line(home, with_routes(home, {"desk": desk}, MANY)) as line:
            first = line.alerter()
            line.feed([a_moment("one")])
            until(lambda: desk.told or first.check(), 60, "the first told")
            second = line.alerter()
            log = home / "alerter.log"
            line.feed([a_moment(f"customer{number}") for number in range(50)])
            until(
                lambda: max(said["count"] for said in desk.notifications()) == 51,
                90,
                f"all in one alert, see {log}",
            )
            for process in (first, second):  # whoever told, the other takes over
                process.process.kill()
                process.process.wait()
                line.alerter()
                count = max(said["count"] for said in desk.notifications())
                line.feed([a_moment(f"after{count}")])
                until(
                    lambda c=count: max(s["count"] for s in desk.notifications()) == c + 1,
                    90,
                    "the next told",
                )
            assert len({said["alert_id"] for said in desk.notifications()}) == 1
            check_told(desk)
