"""A TCP proxy between two parts of the pipeline that fails as networks and dead hosts do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType

from tests.faults.loop_thread import LoopThread

HOST = "127.0.0.1"
_PIECE = 1 << 16
#: Close by reset and not in order: what is under way is gone.
_RESET = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards connections to one address, until told to do worse.

    Args:
        port: Port to forward to, on the loopback interface; can be set later.

    Attributes:
        target: Port that is forwarded to.
        port: Where it listens, the same for as long as it lives.
        delay: Seconds that every piece is held back, in both directions.
        faults: Connections that were cut, held or refused on purpose.
    """

    def __init__(self, port: int = 0) -> None:
        self.target = port
        self.port = 0
        self.delay = 0.0
        self.faults = 0
        self._loop = LoopThread()
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop.call(self._listen())

    def cut(self) -> None:
        """Reset every connection; new ones are served."""
        self._loop.call(self._cut())

    def refuse(self) -> None:
        """Be a host where nothing listens: reset every connection, refuse new ones."""
        self._loop.call(self._refuse())

    def silence(self) -> None:
        """Be a host that froze: accept, forward nothing, answer nothing."""
        self.faults += 1
        self._loop.call(self._set_open(False))

    def resume(self, *, cut: bool = True) -> None:
        """Serve again.

        Args:
            cut: Whether the connections of before are dead; otherwise they go on where they were.
        """
        if cut:
            self._loop.call(self._cut(count=False))
        self._loop.call(self._set_open(True))
        self._loop.call(self._listen())

    def close(self) -> None:
        """Stop."""
        self._loop.call(self._refuse(count=False))
        self._loop.close()

    def __enter__(self) -> TcpProxy:
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

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self, *, count: bool = True) -> None:
        if self._server is not None:
            self._server.close()  # not waited for: it would wait for the connections, too
            self._server = None
        self.faults += count
        await self._cut(count=False)

    async def _cut(self, *, count: bool = True) -> None:
        self.faults += count
        for writer in tuple(self._writers):
            _reset(writer)

    async def _set_open(self, value: bool) -> None:
        if value:
            self._open.set()
        else:
            self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            answers, beyond = await asyncio.open_connection(HOST, self.target)
            self._writers.add(beyond)
            await asyncio.gather(self._pump(reader, beyond), self._pump(answers, writer))
        except OSError:
            _reset(writer)  # nobody there, or gone: whoever asked finds out as without a proxy
        except asyncio.CancelledError:
            _reset(writer)  # the proxy ends; asyncio would log what leaves this
        finally:
            for each in filter(None, (writer, beyond)):
                self._writers.discard(each)
                each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._open.wait()
            writer.write(piece)
            await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    found: socket.socket | None = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
