"""The small HTTP server by which monitoring sees a process that keeps running.

``/metrics`` for Prometheus, ``/healthz`` (is the process alive, or better started anew?) and
``/readyz`` (does it do its work, and if not, why?). It answers from inside the event loop whose
health it tells: a loop that does not turn does not answer. Nobody can change anything through it,
and nothing it says is about a customer.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from mode import Service

from pipeline.errors import SettingsError
from pipeline.metrics import CONTENT_TYPE
from pipeline.settings import Settings

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 1.0


@dataclass(frozen=True)
class Status:
    """What a check found.

    Attributes:
        problems: Reason and words of everything that is wrong; empty when all is well.
        facts: What else a person wants to see.
    """

    problems: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def listening(settings: Settings) -> socket.socket | None:
    """Take the port that is set; a server answers on it later. None where none is set.

    Raises:
        SettingsError: The address cannot be taken.
    """
    if settings.status_port is None:
        return None
    host, port = settings.status_host, settings.status_port
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, number)
    except OSError as error:
        raise _untaken(host, port, error) from error
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen()
    except OSError as error:
        taken.close()
        raise _untaken(host, port, error) from error
    return taken


class StatusServer(Service):
    """Answers ``/metrics``, ``/healthz`` and ``/readyz`` while the app it belongs to runs.

    Args:
        settings: The port that was asked for.
        taken: A listening socket, from ``listening``.
        expose: Answers ``/metrics``, as ``Metrics.exposition`` does. Must not block.
        alive: The same for ``/healthz``; problems make it 503.
        ready: The same for ``/readyz``.
    """

    def __init__(
        self,
        settings: Settings,
        taken: socket.socket,
        expose: Callable[[], bytes],
        alive: Callable[[], Status],
        ready: Callable[[], Status],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._asked = settings.status_port
        self._taken = taken
        self._expose = expose
        app = web.Application()
        app.router.add_get("/metrics", self._show)
        app.router.add_get("/healthz", self._told("alive", alive))
        app.router.add_get("/readyz", self._told("ready", ready))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_SECONDS)

    @property
    def address(self) -> str:
        """Return where it answers, host:port."""
        host, port = self._taken.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def on_start(self) -> None:
        """Begin to answer."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._taken).start()
        # nobody can know a port that was free unless it is said
        level = logging.INFO if self._asked else logging.WARNING
        log.log(level, "metrics and health at http://%s/metrics, /healthz, /readyz", self.address)

    async def on_stop(self) -> None:
        """Answer no more."""
        await self._runner.cleanup()

    async def _show(self, _: web.Request) -> web.Response:
        return web.Response(body=self._expose(), headers={"Content-Type": CONTENT_TYPE})

    def _told(self, word: str, check: Callable[[], Status]) -> Any:
        async def answer(_: web.Request) -> web.Response:
            status = check()
            return web.json_response(
                {word: not status.problems, "problems": dict(status.problems), **status.facts},
                status=503 if status.problems else 200,
            )

        return answer


def _untaken(host: str, port: int, error: OSError) -> SettingsError:
    return SettingsError(
        f"TOUCHLINE_STATUS_PORT: cannot listen on {host}:{port}: {error.strerror} (fix: another "
        "port for each process on a machine, 0 for any that is free, or unset it)"
    )
