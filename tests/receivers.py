"""Servers that alerts are sent to in tests: on 127.0.0.1, with certificates of a test's own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from typing import Any
from uuid import UUID

import jsonschema
import trustme
from aiohttp import web

from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.destinations.opening import open_sender
from pipeline.alerts.safe_http import Endpoint, Lookup, SafeHttp, endpoint
from schemas.alerts import Destination
from schemas.notification import Notification, Told

#: Name in the servers' certificate; only what is given as ``lookup`` knows where it is.
NAME = "hooks.example.com"
DELIVERY = UUID("4b0b6a6e-9a53-5d6e-9c9a-2f4d8a3f7c11")
NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


@cache
def authority() -> trustme.CA:
    """Return the authority that test servers have their certificates from."""
    return trustme.CA()


def trusting() -> ssl.SSLContext:
    """Return what makes a client trust test servers."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


@dataclass
class Got:
    """A request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers every request in the same way and keeps them all."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    text: str = "ok"
    got: list[Got] = field(default_factory=list)
    port: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Keep a request and answer it."""
        body = await request.read()
        self.got.append(Got(request.path_qs, dict(request.headers), body))
        return web.Response(status=self.status, headers=self.headers, text=self.text)


@asynccontextmanager
async def receiving(receiver: Receiver, tls: bool = True) -> AsyncIterator[Receiver]:
    """Run a receiver."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(app, shutdown_timeout=1, access_log=None)
    await runner.setup()
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().issue_cert(NAME, "127.0.0.1").configure_cert(context)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object],
) -> AsyncIterator[int]:
    """Run a server of bare TCP that does as it likes; yields its port."""
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await talk(reader, writer)  # type: ignore[misc]
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def client(lookup: Lookup | None = None) -> AsyncIterator[SafeHttp]:
    """Open a client that trusts test servers and finds them here, unless told otherwise."""
    http = SafeHttp(lookup or (lambda host, port: ["127.0.0.1"]), trusting())
    try:
        yield http
    finally:
        await http.close()


def at(
    port: int, path: str = "/hook", scheme: str = "https", loopback: bool = True, host: str = NAME
) -> Endpoint:
    """Return the endpoint of a test server."""
    url = f"{scheme}://{host}:{port}{path}"
    return endpoint(url, "desk", allow_private=False, allow_loopback_http=loopback)


def notification(**changes: object) -> Notification:
    """Return a notification, with changes."""
    moment = Told(
        moment_id=UUID(int=7),
        status="open",
        rule="message_unanswered",
        severity="high",
        customer_key="9f2c",
        segment="private",
        touchpoint="contact_form",
        channel="web",
        subject="Q1",
        text="9f2c asked on the web and has no answer.",
        cause_at=NOON,
        occurred_at=NOON,
    )
    found = Notification(
        alert_id=UUID(int=1),
        sequence=1,
        action="trigger",
        route="pains",
        group={"rule": "message_unanswered", "owner": "Care, first line"},
        kind="pain",
        severity="high",
        owner="Care, first line",
        title="3 messages without an answer",
        text="Three customers wait.\nThe first since noon.",
        count=3,
        open=2,
        customers=["9f2c", "a771"],
        moments=[moment],
        moment_ids=[UUID(int=7), UUID(int=8), UUID(int=9)],
        opened_at=NOON,
        changed_at=NOON,
        link="https://desk.example.com/alerts/1",
    )
    return Notification.model_validate({**found.model_dump(), **changes})


def check(document: Any, schema: dict[str, Any]) -> None:
    """Check a document against a JSON Schema, formats of times and addresses too."""
    jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())


def sent(
    told: list[Notification], receiver: Receiver, made: Callable[[str], Destination]
) -> list[Answer | DeliveryError]:
    """Send notifications to a receiver; ``made`` makes the destination of its address."""

    async def run() -> list[Answer | DeliveryError]:
        async with receiving(receiver), client() as http:
            sender = open_sender(made(f"https://{NAME}:{receiver.port}"), http)
            answers: list[Answer | DeliveryError] = []
            for number, one in enumerate(told):
                try:
                    answers.append(await sender.send(one, UUID(int=DELIVERY.int + number)))
                except DeliveryError as error:
                    answers.append(error)
            await sender.close()
            return answers

    return asyncio.run(run())
