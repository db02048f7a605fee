"""The process behind an embedded stack: ``python -m pipeline.embedded.supervisor HOME …``.

It holds the lock of the home directory, runs the broker as its child and the engine in itself,
writes the run file when both answer, and prints one line of JSON. It ends, in order, on SIGTERM,
on SIGINT, when its standard input ends or when its parent is gone: however the program that
started it ends, nothing stays behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pydantic import SecretStr

from pipeline.embedded.broker import Broker
from pipeline.embedded.home import Endpoints, Home
from pipeline.errors import FatalError

if TYPE_CHECKING:
    from pipeline.embedded.engine import Engine
    from pipeline.embedded.front import Front

_WATCH_SECONDS = 0.5

log = logging.getLogger("pipeline.embedded.supervisor")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a stack until it is told to end.

    Args:
        arguments: Command line; ``sys.argv`` when None.

    Returns:
        Exit code: 0 after an ordinary stop, 1 after a failure, which the last line of standard
        output explains when it happened before the stack was ready.
    """
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _leave)
    os.umask(0o077)
    os.environ["TZ"] = "UTC"  # the engine's time zone is not that of whoever starts it
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        home = Home.at(options.home)
        home.create()
        with home.locked():
            return _run(home, options)
    except FatalError as error:
        log.error("%s", error)
        _say({"error": str(error)})
        return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pipeline.embedded.supervisor", allow_abbrev=False)
    parser.add_argument("home", type=Path)
    parser.add_argument("--broker", action="store_true")
    parser.add_argument("--engine", action="store_true")
    parser.add_argument("--lasting", action="store_true")
    parser.add_argument("--kafka-port", type=int, default=0)
    parser.add_argument("--clickhouse-port", type=int, default=0)
    return parser.parse_args(arguments)


def _leave(number: int, frame: FrameType | None) -> None:
    """Turn a signal into an orderly exit while no event loop runs."""
    raise SystemExit(128 + number)


def _say(message: dict[str, object]) -> None:
    """Print one line for the process that started this one, if it still listens."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def _run(home: Home, options: argparse.Namespace) -> int:
    """Run the parts with the lock held."""
    home.remove_run()
    home.make_pepper()
    home.clear_temp()
    with contextlib.ExitStack() as parts:
        broker = None
        if options.broker:  # first, while this process has one thread
            broker = Broker.start(home.broker_log, options.kafka_port)
            parts.callback(broker.stop)
        return asyncio.run(_serve(home, options, broker))


async def _serve(home: Home, options: argparse.Namespace, broker: Broker | None) -> int:
    """Open the engine, announce, wait for the end, close."""
    stop = asyncio.Event()
    served: Served | None = None
    with _watched(stop):
        if options.engine:
            served = await Served.start(home, options.clickhouse_port)
        try:
            _announce(home, broker, served, options.lasting)
            return await _until_stopped(stop, broker)
        finally:
            home.remove_run()
            if served is not None and not await served.stop():
                log.error("queries do not end; leaving without closing the engine")
                if broker is not None:
                    broker.stop()
                os._exit(1)


@dataclass(frozen=True)
class Served:
    """The engine with the HTTP server before it.

    Attributes:
        engine: The open engine.
        front: Its server.
        port: Where it listens.
        password: What clients must present.
    """

    engine: Engine
    front: Front
    port: int
    password: SecretStr

    @classmethod
    async def start(cls, home: Home, port: int) -> Served:
        """Open the data directory and listen.

        Raises:
            FatalError: The directory cannot be opened or the port is taken.
        """
        # Imported late: loading the engine takes half a second that a broker alone need not wait.
        from pipeline.embedded.engine import Engine
        from pipeline.embedded.front import Front

        password = SecretStr(secrets.token_urlsafe(24))
        engine = Engine(home.data)
        front = Front(engine, password.get_secret_value(), home.temp)
        try:
            port = await front.start(port)
        except OSError as error:
            engine.close()
            raise FatalError(f"the embedded engine cannot listen on {port}: {error}") from error
        return cls(engine, front, port, password)

    async def stop(self) -> bool:
        """Close everything; return False when running queries made that impossible."""
        if not await self.front.stop():
            return False
        self.engine.close()
        return True


def _announce(home: Home, broker: Broker | None, served: Served | None, lasting: bool) -> None:
    """Write the run file, then print the line that says so; it carries no secret."""
    endpoints = Endpoints(
        kafka=broker.address if broker else None,
        clickhouse=f"clickhouse://touchline@127.0.0.1:{served.port}" if served else None,
        clickhouse_password=served.password if served else None,
        pepper=home.read_pepper(),
        pid=os.getpid(),
        lasting=lasting,
    )
    home.write_run(endpoints, datetime.now(timezone.utc).isoformat(timespec="seconds"))
    log.info("ready: kafka %s, clickhouse %s", endpoints.kafka, endpoints.clickhouse)
    _say({"pid": endpoints.pid, "kafka": endpoints.kafka, "clickhouse": endpoints.clickhouse})


async def _until_stopped(stop: asyncio.Event, broker: Broker | None) -> int:
    """Wait for the end and return the exit code."""
    parent = os.getppid()
    while not stop.is_set():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), _WATCH_SECONDS)
        if broker is not None and not broker.alive():
            log.error("the broker ended, its records are lost: %s", broker.log_tail())
            return 1
        if os.getppid() != parent:
            log.info("the parent process is gone")
            break
    return 0


@contextlib.contextmanager
def _watched(stop: asyncio.Event) -> Iterator[None]:
    """Set the event on SIGTERM, SIGINT or the end of standard input."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    descriptor = sys.stdin.fileno()

    def read() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stop.set()

    try:
        loop.add_reader(descriptor, read)
    except PermissionError:  # a file or /dev/null: it has ended before it began
        stop.set()
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


if __name__ == "__main__":
    sys.exit(main())
