"""What comes back of an address: late, large, wrong, or with secrets in it."""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
import traceback
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.safe_http import (
    MOST_READ,
    MOST_SHOWN,
    Endpoint,
    SafeHttp,
    endpoint,
    retry_after,
)
from pipeline.errors import SettingsError
from tests.receivers import NAME, Receiver, at, client, receiving, talking

JSON = {"Content-Type": "application/json"}
TOKEN = "T0KEN-of-someone"


async def post(http: SafeHttp, to: Endpoint, timeout: float = 20.0, **more: Any) -> Answer:
    return await http.post(to, b"{}", JSON, timeout=timeout, **more)


async def refused(http: SafeHttp, to: Endpoint, timeout: float = 20.0) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await post(http, to, timeout)
    return caught.value


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        async with talking(silence) as port, client() as http:
            for scheme in ("http", "https"):
                began = time.monotonic()
                error = await refused(http, at(port, scheme=scheme), timeout=0.3)
                assert error.reason.endswith("no answer within 0.3 s")
                assert time.monotonic() - began < 10

    asyncio.run(run())


def test_a_name_that_is_never_found_is_given_up_in_time() -> None:
    async def run() -> None:
        async with client(lambda host, port: time.sleep(30) or []) as http:  # type: ignore[func-returns-value]
            began = time.monotonic()
            error = await refused(http, at(443), timeout=0.3)
            assert "no answer within" in error.reason
            assert time.monotonic() - began < 10

    asyncio.run(run())


def test_an_answer_that_drips_does_not_hold_up() -> None:
    head = "HTTP/1.1 {} x\r\nContent-Length: 100000\r\n\r\n"

    def drip(status: int) -> Any:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head.format(status).encode())
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

        return talk

    async def run() -> None:
        async with client() as http:
            began = time.monotonic()
            async with talking(drip(200)) as port:  # the status has come: it was taken
                answer = await post(http, at(port, scheme="http"), timeout=60)
                assert answer.status == 200
                assert set(answer.detail) == {"x"}
            async with talking(drip(500)) as port:
                error = await refused(http, at(port, scheme="http"), timeout=60)
                assert (error.status, error.permanent) == (500, False)
            assert time.monotonic() - began < 30

    asyncio.run(run())


def test_headers_that_drip_are_given_up_in_time() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 x\r\n")
        while True:
            writer.write(b"x-a: b\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def run() -> None:
        async with talking(talk) as port, client() as http:
            error = await refused(http, at(port, scheme="http"), timeout=0.5)
            assert error.status == 0

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_a_server_that_answers_without_listening_does_not_hold_up() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 x\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.Event().wait()

    async def run() -> None:
        async with talking(talk) as port, client() as http:
            sending = http.post(at(port, scheme="http"), b"x" * 20_000_000, JSON, timeout=60)
            with pytest.raises(DeliveryError) as caught:
                await asyncio.wait_for(sending, 30)
            assert caught.value.status == 413

    asyncio.run(run())


def test_of_a_huge_answer_little_is_read_and_less_is_shown() -> None:
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 x\r\nContent-Length: 1000000000\r\n\r\n")
        while written < 1_000_000_000:
            writer.write(b"y" * 65_536)
            await writer.drain()
            written += 65_536

    async def run() -> None:
        async with talking(flood) as port, client() as http:
            error = await refused(http, at(port, scheme="http"))
            assert len(error.reason) < MOST_SHOWN + 80
        # what the system's buffers take was written, too
        assert written < MOST_READ + 32_000_000

    asyncio.run(run())


def test_a_packed_answer_is_not_unpacked() -> None:
    async def run() -> None:
        bomb = gzip.compress(b"0" * 50_000_000)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 200 x\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
                % len(bomb)
            )
            writer.write(bomb)
            await writer.drain()
            await asyncio.Event().wait()

        async with talking(talk) as port, client() as http:
            answer = await post(http, at(port, scheme="http"))
            assert (answer.status, answer.detail) == (200, "")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (400, True),
        (401, False),
        (403, False),
        (404, False),
        (408, False),
        (409, False),
        (410, False),
        (413, True),
        (422, True),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_what_is_permanent(status: int, permanent: bool) -> None:
    async def run() -> None:
        receiver = Receiver(status=status, headers={"Retry-After": "7"}, text="no\x1b[31m")
        async with receiving(receiver), client() as http:
            error = await refused(http, at(receiver.port))
            assert (error.status, error.permanent) == (status, permanent)
            assert error.retry_after == 7
            assert error.reason == f"https://{NAME}:{receiver.port}: HTTP {status}: no [31m"

    asyncio.run(run())


def test_how_long_to_wait() -> None:
    now = datetime.now(timezone.utc)
    assert retry_after("120") == 120
    assert retry_after(" 0 ") == 0
    assert retry_after("9" * 400) == 3_600
    soon = retry_after(format_datetime(now + timedelta(minutes=5), usegmt=True))
    assert soon is not None
    assert 200 < soon <= 300
    assert retry_after(format_datetime(now - timedelta(days=1), usegmt=True)) == 0
    assert retry_after(format_datetime(now + timedelta(days=9), usegmt=True)) == 3_600
    for odd in (None, "", "soon", "-5", "1.5", "٣", "Mon, 99 Nov 2026 99:00:00 GMT"):
        assert retry_after(odd) is None, odd


def test_secrets_of_an_address_show_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = f"/services/{TOKEN}-path?key={TOKEN}-query"
    shown: list[str] = []

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 what?\r\n\r\n")
        await writer.drain()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async def keep(http: SafeHttp, to: Endpoint, timeout: float = 20.0) -> None:
        shown.append(repr(to))
        try:
            shown.append(repr(await post(http, to, timeout)))
        except DeliveryError as error:
            shown.extend([str(error), repr(error), error.reason])
            shown.extend(traceback.format_exception(error))

    async def run() -> None:
        user = f"{TOKEN}-user:{TOKEN}-password@{NAME}"
        for status in (200, 302, 500):
            echo = f"{path} {TOKEN}-path {TOKEN}-query is wrong, {TOKEN}-password, too"
            async with receiving(Receiver(status=status, text=echo)) as receiver, client() as http:
                await keep(http, at(receiver.port, path, host=user))
                assert receiver.got[-1].headers["Authorization"].startswith("Basic ")
                await keep(http, at(receiver.port, path, host=f"{TOKEN}-user@wrong.example"))
        for talk in (broken, hang_up):
            async with talking(talk) as port, client() as http:
                await keep(http, at(port, path, scheme="http", host=user))
                await keep(http, at(port, path, host=user), 0.3)
        async with client() as http:
            await keep(http, at(1, path, host=user))  # nobody listens there
        async with client(lambda host, port: ["10.0.0.1"]) as http:
            await keep(http, at(1, path, host=user))
        async with client(lambda host, port: []) as http:
            await keep(http, at(1, path, host=user))

    asyncio.run(run())
    for url in (f"https://{TOKEN}@127.1{path}", f"http://u:{TOKEN}@{NAME}{path}", f"x{path}"):
        with pytest.raises(SettingsError) as caught:
            endpoint(url, "desk", allow_private=False, allow_loopback_http=False)
        shown.extend(traceback.format_exception(caught.value))
    assert len(shown) > 50
    assert [text for text in shown if TOKEN in text] == []
    assert TOKEN not in caplog.text
