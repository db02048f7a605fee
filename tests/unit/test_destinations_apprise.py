"""Services that the library Apprise reaches."""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import apprise
import pytest
from apprise.decorators import notify

from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.destinations.apprise_sender import AppriseSender
from pipeline.errors import SettingsError
from schemas.alerts import Apprise
from schemas.notification import Notification
from tests.receivers import DELIVERY, Receiver, notification, receiving

TOKEN = "T0KEN-of-someone"


class Service:
    """A service of the test's own, ``touchtest://``."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str]] = []
        self.answer: Any = True
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, body: str, title: str, notify_type: str) -> bool | None:
        self.go_on.wait(60)
        self.got.append((title, body, apprise.NotifyType(notify_type).value))
        if isinstance(self.answer, Exception):
            raise self.answer
        return bool(self.answer)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    found = Service()

    @notify(on="touchtest", name="Test service")
    def answer(body: str, title: str, notify_type: str, *_: Any, **__: Any) -> bool | None:
        return found(body, title, notify_type)

    monkeypatch.setenv("CHAT", f"touchtest://{TOKEN}")
    yield found
    found.go_on.set()
    apprise.NotificationManager().remove("touchtest")


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Everything that reaches the handlers of a process, as its entry point sets them up."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.getMessage()}")

    root, handler = logging.getLogger(), Handler()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


def sender(**changes: Any) -> AppriseSender:
    found = {"type": "apprise", "id": "chat", "url_from": "env:CHAT", "timeout": "20s", **changes}
    return AppriseSender(Apprise.model_validate(found))


def send(to: AppriseSender, *told: Notification) -> list[Answer]:
    async def run() -> list[Answer]:
        return [await to.send(one, DELIVERY) for one in told]

    return asyncio.run(run())


def test_people_get_title_and_text(service: Service) -> None:
    answers = send(
        sender(),
        notification(),
        notification(action="update", severity="critical"),
        notification(action="update", severity="critical", escalated=True),
        notification(action="acknowledge", acknowledged_by="Kim\x1b[m", link=""),
        notification(action="resolve", test=True),
    )
    assert [answer.detail for answer in answers] == [
        "Test service took it",
        "updates are not sent there",
        *["Test service took it"] * 3,
    ]
    body = "Three customers wait.\nThe first since noon."
    link = "\nhttps://desk.example.com/alerts/1"
    title = "3 messages without an answer"
    assert service.got == [
        (title, body + link, "failure"),
        (title, body + link, "failure"),
        (f"[Acknowledged] {title}", f"{body}\nAcknowledged by Kim [m", "info"),
        (f"[Test] [Resolved] {title}", body + link, "success"),
    ]


def test_updates_are_sent_where_they_are_wanted(service: Service) -> None:
    send(sender(updates=True), notification(action="update", severity="medium"))
    send(sender(), notification(severity="low"), notification(kind="glory"))
    assert [kind for _, _, kind in service.got] == ["warning", "info", "success"]


@pytest.mark.parametrize("answer", [False, ValueError(f"https://{TOKEN}@example.com")])
def test_a_service_that_refuses_is_a_failure(service: Service, answer: Any) -> None:
    service.answer = answer
    with pytest.raises(DeliveryError, match="^Test service: not taken$") as caught:
        send(sender(), notification())
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_a_service_that_hangs_is_given_up_and_not_tried_without_end(service: Service) -> None:
    service.go_on.clear()
    to = sender(timeout="1s")

    async def run() -> list[str]:
        async def one() -> str:
            with pytest.raises(DeliveryError) as caught:
                await to.send(notification(), DELIVERY)
            return caught.value.reason

        said = await asyncio.gather(*(one() for _ in range(4)))
        said.append(await one())  # no fifth thread
        service.go_on.set()
        until = asyncio.get_running_loop().time() + 30
        while True:  # once the threads have ended it is tried again
            try:
                await to.send(notification(), DELIVERY)
                return said
            except DeliveryError:
                assert asyncio.get_running_loop().time() < until
                await asyncio.sleep(0.02)

    said = asyncio.run(run())
    assert said == ["Test service: no answer within 1 s"] * 4 + ["Test service: 4 tries hang"]
    assert len(service.got) == 5


def test_a_real_service_and_the_status_of_its_refusal(
    monkeypatch: pytest.MonkeyPatch, heard: list[str]
) -> None:

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    async def run() -> tuple[list[str], list[str]]:
        receiver = Receiver()
        async with receiving(receiver, tls=False):
            monkeypatch.setenv("CHAT", f"gotify://127.0.0.1:{receiver.port}/{TOKEN}?redirect=yes")
            to = sender()
            said = [(await to.send(notification(), DELIVERY)).detail]
            receiver.status, receiver.headers = 403, {}
            receiver.text = f"token {TOKEN} is wrong"
            with pytest.raises(DeliveryError) as caught:
                await to.send(notification(), DELIVERY)
            said.append(caught.value.reason)
            assert (caught.value.status, caught.value.permanent) == (403, False)
            receiver.status = 302
            receiver.headers = {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
            with pytest.raises(DeliveryError):
                await to.send(notification(), DELIVERY)
            return said, [got.path for got in receiver.got]

    said, paths = asyncio.run(run())
    assert said == ["Gotify took it", "Gotify: not taken (HTTP 403)"]
    assert len(paths) == 3
    assert not any("elsewhere" in path for path in paths)
    assert not any(TOKEN in line for line in heard)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"json://{TOKEN}.example.com", "reaches any host"),
        (f"jsons://{TOKEN}.example.com", "reaches any host"),
        (f"xmls://{TOKEN}.example.com", "reaches any host"),
        (f"form://{TOKEN}.example.com", "reaches any host"),
        (f"apprises://example.com/{TOKEN}", "reaches any host"),
        ("syslog://", "stays on this machine"),
        (f"rsyslog://{TOKEN}.example.com", "stays on this machine"),
        ("dbus://", "stays on this machine"),
        ("gnome://", "stays on this machine"),
        ("windows://", "stays on this machine"),
        ("macosx://", "stays on this machine"),
        (f"nothing://{TOKEN}", "no URL that Apprise understands"),
        (TOKEN, "no URL that Apprise understands"),
        (f"slack://{TOKEN}", "not complete"),
        (f"gotify://a.example.com/{TOKEN}, gotify://b.example.com/{TOKEN}", "several URLs"),
        (f"gotifys://example.com/{TOKEN}?verify=no", "always verified"),
        (f"gotifys://169.254.169.254/{TOKEN}", "refused: link-local"),
    ],
)
def test_what_is_refused(
    url: str, says: str, monkeypatch: pytest.MonkeyPatch, heard: list[str]
) -> None:
    monkeypatch.setenv("CHAT", url)
    with pytest.raises(SettingsError, match=says) as caught:
        sender()
    assert "destination chat: env:CHAT" in str(caught.value)
    assert TOKEN.lower() not in "".join(traceback.format_exception(caught.value)).lower()
    assert not any(TOKEN.lower() in line.lower() for line in heard)


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "mailtos://alerts:password@mail.example.com?to=care@example.com",
        "gotifys://10.1.2.3/AbCdEfGhIjKlMnO",  # a server of one's own
    ],
)
def test_what_people_use_is_understood(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT", url)
    asyncio.run(sender().close())
