"""Sending to an address, and to no other."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from pipeline.alerts.answers import Answer, DeliveryError
from pipeline.alerts.safe_http import (
    Endpoint,
    SafeHttp,
    endpoint,
    system_lookup,
)
from pipeline.errors import SettingsError
from tests.receivers import NAME, Receiver, at, client, receiving

JSON = {"Content-Type": "application/json"}
TOKEN = "T0KEN-of-someone"


async def post(http: SafeHttp, to: Endpoint, timeout: float = 20.0, **more: Any) -> Answer:
    return await http.post(to, b"{}", JSON, timeout=timeout, **more)


async def refused(http: SafeHttp, to: Endpoint, timeout: float = 20.0) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await post(http, to, timeout)
    return caught.value


def test_a_body_arrives_under_the_name_that_was_given() -> None:
    async def run() -> None:
        async with receiving(Receiver(text=" all\n well ")) as receiver, client() as http:
            answer = await post(http, at(receiver.port, "/hook?a=b"))
            assert (answer.status, answer.detail) == (200, "all well")
            (got,) = receiver.got
            assert (got.path, got.body) == ("/hook?a=b", b"{}")
            assert got.headers["Host"] == f"{NAME}:{receiver.port}"
            assert got.headers["User-Agent"] == "touchline"

    asyncio.run(run())


def test_the_certificate_must_be_of_the_name_and_of_a_trusted_authority() -> None:
    async def run() -> None:
        async with receiving(Receiver()) as receiver:
            async with client() as http:
                error = await refused(http, at(receiver.port, host="other.example.com"))
                assert "certificate refused" in error.reason
            strangers = SafeHttp(lambda host, port: ["127.0.0.1"])
            error = await refused(strangers, at(receiver.port))
            await strangers.close()
            assert "certificate refused" in error.reason
            assert not error.permanent
            assert receiver.got == []

    asyncio.run(run())


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["10.0.0.7"],
        ["93.184.216.34", "10.0.0.7"],
        ["127.0.0.1", "169.254.169.254"],
        ["fd00:ec2::254"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
    ],
)
def test_a_name_that_leads_inside_is_refused(found: list[str]) -> None:
    async def run() -> None:
        async with receiving(Receiver()) as receiver, client(lambda host, port: found) as http:
            error = await refused(http, at(receiver.port, loopback=False))
            assert error.reason.startswith(f"https://{NAME}:{receiver.port}: refused: ")
            assert receiver.got == []

    asyncio.run(run())


def test_a_name_that_changes_its_mind_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    def nobody_else(*_: Any, **__: Any) -> None:
        raise AssertionError("a name was looked up behind our back")

    async def run() -> None:
        async with (
            receiving(Receiver(headers={"Connection": "close"})) as receiver,
            client(lookup) as http,
        ):
            monkeypatch.setattr(socket, "getaddrinfo", nobody_else)
            assert (await post(http, at(receiver.port))).status == 200
            assert asked == [NAME]  # once, and the connection went to what was found
            error = await refused(http, at(receiver.port))
            assert "refused: link-local" in error.reason
            assert len(receiver.got) == 1

    asyncio.run(run())


def test_a_connection_serves_no_destination_that_may_go_less_far() -> None:
    async def run() -> None:
        async with receiving(Receiver()) as receiver, client() as http:
            assert (await post(http, at(receiver.port))).status == 200
            error = await refused(http, at(receiver.port, loopback=False))
            assert "this machine" in error.reason

    asyncio.run(run())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    async def run() -> None:
        async with receiving(Receiver()) as inside:
            for place in (
                "http://169.254.169.254/latest/meta-data/",
                f"https://{NAME}:{inside.port}/",
            ):
                moved = Receiver(status=status, headers={"Location": place})
                async with receiving(moved), client() as http:
                    error = await refused(http, at(moved.port))
                    assert error.reason.endswith(f"HTTP {status}: redirect refused")
                    assert (error.status, error.permanent) == (status, False)
                    assert len(moved.got) == 1
            assert inside.got == []

    asyncio.run(run())


def test_plain_http_is_for_this_machine_only() -> None:
    with pytest.raises(SettingsError, match=r"http://hooks\.example\.com.* is not encrypted"):
        at(8080, scheme="http", loopback=False)

    async def run() -> None:
        async with receiving(Receiver(), tls=False) as receiver:
            async with client() as http:
                assert (await post(http, at(receiver.port, scheme="http"))).status == 200
            elsewhere = endpoint(
                f"http://{NAME}:{receiver.port}/",
                "desk",
                allow_private=True,
                allow_loopback_http=True,
            )
            for address in ("10.0.0.7", "93.184.216.34"):
                async with client(lambda host, port, there=address: [there]) as http:
                    error = await refused(http, elsewhere)
                    assert "plain http goes to this machine only" in error.reason

    asyncio.run(run())


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/",
        "https://[fe80::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://10.1.2.3/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0.0.0.0/",
        "ftp://example.com/",
        "https:///path",
        "hooks.example.com/path",
        "https://example.com:99999/",
        "",
    ],
)
def test_an_address_that_cannot_work_is_said_at_once(url: str) -> None:
    with pytest.raises(SettingsError, match="^destination desk: "):
        endpoint(url, "desk", allow_private=False, allow_loopback_http=False)


@pytest.mark.parametrize("host", ["0x7f000001", "0x7f.1", "localhost"])
def test_names_that_the_system_reads_as_this_machine_are_refused(host: str) -> None:
    async def run() -> None:
        async with receiving(Receiver()) as receiver, client(system_lookup) as http:
            error = await refused(http, at(receiver.port, loopback=False, host=host))
            # some resolvers do not read hexadecimal
            assert "refused: this machine" in error.reason or "not found" in error.reason
            assert receiver.got == []

    asyncio.run(run())


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with receiving(Receiver(), tls=False) as proxy, receiving(Receiver()) as receiver:
            for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            async with client() as http:
                assert (await post(http, at(receiver.port))).status == 200
            assert proxy.got == []

    asyncio.run(run())
