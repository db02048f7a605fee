"""The HTTP server before the embedded engine; to a client it is a ClickHouse server.

It binds to the loopback interface and wants the password of this run with every request, so other
users of the machine get nothing. The SQL itself is not restricted: see ``engine``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import hmac
import json
import logging
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

from pipeline.embedded.engine import (
    ABORTED,
    AUTHENTICATION_FAILED,
    CANNOT_READ_ALL_DATA,
    NOT_ENOUGH_SPACE,
    Answer,
    Call,
    Engine,
    EngineError,
)
from pipeline.embedded.request import received
from pipeline.embedded.statement import result_format

HOST = "127.0.0.1"
USER = "touchline"

_QUERY_THREADS = 16
_MAX_URL_BYTES = 1 << 20  # ClickHouse's http_max_uri_size
_MAX_FORM_BYTES = 64 << 20
# Longer than any pool of connections lives: a connection that the server closes while the client
# picks it up leaves the client not knowing whether its insert ran.
_KEEPALIVE_SECONDS = 86_400.0
_GRACE_SECONDS = 5.0
_UPLOAD_SECONDS = 1.0
_CANCEL_SECONDS = 10.0

# ClickHouse's own mapping (src/Server/HTTP/exceptionCodeToHTTPStatus.cpp), the part that can
# happen here; 500 otherwise.
_STATUS = {
    **dict.fromkeys((192, 193, 497, 516), 403),
    **dict.fromkeys((6, 25, 26, 27, 33, 36, 38, 41, 44, 53, 62, 69, 72, 89, 117, 386, 456), 400),
    **dict.fromkeys((16, 46, 47, 50, 56, 60, 63, 73, 81, 115), 404),
    **dict.fromkeys((131, 307), 413),
    48: 501,
}

log = logging.getLogger(__name__)


class Front:
    """Serves one engine over HTTP.

    Args:
        engine: The open engine.
        password: What clients must present together with the user ``touchline``.
        temp: Directory for the data of inserts.
    """

    def __init__(self, engine: Engine, password: str, temp: Path) -> None:
        self._engine = engine
        self._password = password.encode()
        self._temp = temp
        self._pool = ThreadPoolExecutor(_QUERY_THREADS, thread_name_prefix="chdb")
        self._running: set[asyncio.Future[Answer]] = set()
        self._stopping = False
        app = web.Application(client_max_size=_MAX_FORM_BYTES)
        app.router.add_get("/ping", self._ping, allow_head=True)
        app.router.add_get("/", self._query, allow_head=False)
        app.router.add_post("/", self._query)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,
            shutdown_timeout=_UPLOAD_SECONDS,
            keepalive_timeout=_KEEPALIVE_SECONDS,
            max_line_size=_MAX_URL_BYTES,
            read_bufsize=1 << 20,
        )

    async def start(self, port: int = 0) -> int:
        """Listen, and return the port.

        Args:
            port: Port on the loopback interface; 0 takes a free one.

        Raises:
            OSError: The port is taken.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> bool:
        """Stop listening, let running queries end, then cancel those that do not.

        Returns:
            Whether nothing runs any more; only then may the engine be closed.
        """
        self._stopping = True
        for site in tuple(self._runner.sites):
            await site.stop()
        await self._drain(_GRACE_SECONDS)
        if self._running:
            log.warning("cancelling %d running queries", len(self._running))
            await asyncio.get_running_loop().run_in_executor(None, self._engine.cancel_all)
            await self._drain(_CANCEL_SECONDS)
        await self._runner.cleanup()
        self._pool.shutdown(wait=False, cancel_futures=True)
        return not self._running

    async def _drain(self, seconds: float) -> None:
        """Wait until nothing runs, but no longer than this."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=seconds)

    async def _ping(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n", headers=self._headers())

    async def _query(self, request: web.Request) -> web.Response:
        """Answer a statement; every failure becomes an answer too."""
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        try:
            self._authenticate(request.headers)
            async with received(request, self._temp) as call:
                answer = await self._run(call)
            return self._answered(call, answer, query_id)
        except EngineError as error:
            return self._refused(error, query_id)
        except (ConnectionError, web.RequestPayloadError):
            log.info("query %s: the client went away before its request was complete", query_id)
            cut = EngineError.of(CANNOT_READ_ALL_DATA, "CANNOT_READ_ALL_DATA", "Request cut off")
            return self._refused(cut, query_id)
        except OSError as error:
            log.error("query %s: cannot store its data: %s", query_id, error)
            full = f"Cannot store the data of the request: {error.strerror}"
            return self._refused(
                EngineError.of(NOT_ENOUGH_SPACE, "NOT_ENOUGH_SPACE", full), query_id
            )

    async def _run(self, call: Call) -> Answer:
        """Run a call in a thread; it goes on there even if this request is given up."""
        if self._stopping:
            raise EngineError.of(ABORTED, "ABORTED", "The embedded engine is stopping")
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, functools.partial(self._engine.run, call))
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.shield(future)

    def _authenticate(self, headers: Mapping[str, str]) -> None:
        """Check who asks.

        Raises:
            EngineError: User or password is wrong or missing.
        """
        user, password = _credentials(headers)
        if user == USER and hmac.compare_digest(password.encode(), self._password):
            return
        raise EngineError.of(
            AUTHENTICATION_FAILED,
            "AUTHENTICATION_FAILED",
            "Authentication failed: password is incorrect, or there is no user with such name",
        )

    def _answered(self, call: Call, answer: Answer, query_id: str) -> web.Response:
        headers = self._headers(query_id)
        headers["X-ClickHouse-Summary"] = json.dumps(answer.summary)
        result = result_format(call.sql, call.default_format, bool(answer.body))
        if result is not None:
            headers["X-ClickHouse-Format"] = result
        return web.Response(body=answer.body, headers=headers)

    def _refused(self, error: EngineError, query_id: str) -> web.Response:
        headers = self._headers(query_id)
        headers["X-ClickHouse-Exception-Code"] = str(error.code)
        status = _STATUS.get(error.code, 500)
        return web.Response(status=status, text=f"{error}\n", headers=headers)

    def _headers(self, query_id: str = "") -> dict[str, str]:
        headers = {
            "X-ClickHouse-Server-Display-Name": "touchline-embedded",
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        return {**headers, "X-ClickHouse-Query-Id": query_id} if query_id else headers


def _credentials(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return user and password from either of the two ways a client may send them."""
    if "X-ClickHouse-User" in headers:
        return headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password
