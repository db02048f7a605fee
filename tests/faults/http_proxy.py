"""An HTTP proxy before ClickHouse: it answers as a server in trouble, or loses good answers.

It knows the statement of every request, so a fault can be aimed at the inserts of one table. It
signs in to the engine itself: one that was started again has another password.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import aiohttp
import lz4.frame
from aiohttp import web
from yarl import URL

from pipeline.embedded.engine import EngineError
from tests.faults.loop_thread import LoopThread

HOST = "127.0.0.1"
_HEAD = 4_096
#: ClickHouse's error numbers and names, as a server in trouble sends them.
READONLY, TABLE_IS_READ_ONLY, TOO_MANY_PARTS, NO_SPACE, MEMORY, TIMEOUT = (
    164,
    242,
    252,
    243,
    241,
    159,
)
NAMES = {
    READONLY: "READONLY",
    TABLE_IS_READ_ONLY: "TABLE_IS_READ_ONLY",
    TOO_MANY_PARTS: "TOO_MANY_PARTS",
    NO_SPACE: "NOT_ENOUGH_SPACE",
    MEMORY: "MEMORY_LIMIT_EXCEEDED",
    TIMEOUT: "TIMEOUT_EXCEEDED",
}
_NOT_FORWARDED = frozenset(
    {"host", "authorization", "content-length", "transfer-encoding", "connection", "expect"}
)
_NOT_RETURNED = frozenset({"content-length", "transfer-encoding", "connection", "date", "server"})


@dataclass
class Fault:
    """What happens to a request.

    Attributes:
        kind: ``lose_answer`` forwards it and drops the connection instead of answering,
            ``cut`` drops the connection before it is forwarded, ``late`` answers after
            ``seconds``, ``error`` answers with ``code``, ``status`` answers with a bare status as
            a balancer between does.
        statement: Only requests whose statement contains this.
        times: How often; for ever when negative.
        every: Only every so many-th of them, beginning with the first.
        code: ClickHouse's error number, one of ``NAMES``.
        status: HTTP status of a bare answer.
        seconds: How late an answer is.
        done: How often it happened.
        seen: How many statements it could have happened to.
    """

    kind: Literal["lose_answer", "cut", "late", "error", "status"]
    statement: str = ""
    times: int = 1
    every: int = 1
    code: int = 0
    status: int = 503
    seconds: float = 0.0
    done: int = 0
    seen: int = 0

    def takes(self, statement: str) -> bool:
        """Return whether it happens to this statement, and count."""
        if self.times == self.done or self.statement not in statement:
            return False
        self.seen += 1
        if (self.seen - 1) % self.every:
            return False
        self.done += 1
        return True


class HttpProxy:
    """Forwards requests to an engine, until told to do worse.

    Args:
        target: Returns port and password of the engine as it is now.

    Attributes:
        port: Where it listens.
        served: How often what was done to requests, by kind of fault; ``""`` where nothing was.
    """

    def __init__(self, target: Callable[[], tuple[int, str]]) -> None:
        self._target = target
        self._faults: list[Fault] = []
        self.served: Counter[str] = Counter()
        self._loop = LoopThread()
        self.port = self._loop.call(self._start())

    @property
    def faults(self) -> int:
        """How often something was done to a request."""
        return sum(count for kind, count in self.served.items() if kind)

    def inject(self, fault: Fault) -> Fault:
        """Do this to the requests that come; returns it, to see how often it happened."""
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Serve as it should be."""
        self._faults.clear()

    def close(self) -> None:
        """Stop."""
        self._loop.call(self._stop())
        self._loop.close()

    def __enter__(self) -> HttpProxy:
        """Return the proxy, which listens already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.close()

    async def _start(self) -> int:
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, shutdown_timeout=0.2, max_line_size=1 << 20
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        return int(self._runner.addresses[0][1])

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = self._fault(_statement(request, body))
        self.served[fault.kind if fault else ""] += 1
        if fault is None:
            return await self._forwarded(request, body)
        if fault.kind == "cut":
            return _dropped(request)
        if fault.kind == "status":
            return web.Response(status=fault.status, text="upstream unavailable\n")
        if fault.kind == "error":
            return _refused(fault.code)
        if fault.kind == "late":
            await asyncio.sleep(fault.seconds)
        answer = await self._forwarded(request, body)
        return _dropped(request) if fault.kind == "lose_answer" else answer

    def _fault(self, statement: str) -> Fault | None:
        return next((fault for fault in self._faults if fault.takes(statement)), None)

    async def _forwarded(self, request: web.Request, body: bytes) -> web.StreamResponse:
        port, password = self._target()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _NOT_FORWARDED}
        headers |= {"X-ClickHouse-User": "touchline", "X-ClickHouse-Key": password}
        try:
            async with self._session.request(
                request.method,
                URL(f"http://{HOST}:{port}{request.rel_url.raw_path_qs}", encoded=True),
                headers=headers,
                data=body,
            ) as answer:
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in _NOT_RETURNED}
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
        except aiohttp.ClientError:
            return _dropped(request)  # the engine is gone: its connections are, too


def _dropped(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _refused(code: int) -> web.Response:
    error = EngineError.of(code, NAMES[code], "Injected by a test (version 26.9.1.1)")
    headers = {"X-ClickHouse-Exception-Code": str(code)}
    return web.Response(status=500, text=f"{error}\n", headers=headers)


def _statement(request: web.Request, body: bytes) -> str:
    """Return the statement of a request, or its beginning; names in it without quotes."""
    head: Any = body
    encoding = request.headers.get("Content-Encoding", "")
    if encoding == "lz4":
        head = lz4.frame.LZ4FrameDecompressor().decompress(body, max_length=_HEAD)
    elif encoding in ("gzip", "deflate"):
        head = zlib.decompressobj(wbits=47).decompress(body, _HEAD)
    elif encoding == "zstd":
        head = b""  # not what this client sends where lz4 is installed
    begun = bytes(head[:_HEAD]).decode("utf-8", "replace")
    return (request.query.get("query", "") + "\n" + begun).replace("`", "")
