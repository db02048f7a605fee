"""The engine of a fault test: it can be killed and started again, on its data."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from pipeline.embedded.stack import Stack
from pipeline.settings import Settings
from tests.faults.ports import free_port


class Engine:
    """An embedded engine without a broker.

    Args:
        home: Its directory.
    """

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        self._start()

    def address(self) -> tuple[int, str]:
        """Return port and password of this life of it, or of the last one while it is down."""
        password = self.stack.endpoints.clickhouse_password
        assert password is not None
        return self.port, password.get_secret_value()

    def kill(self) -> None:
        """End it as the system ends what uses too much memory."""
        os.kill(self.stack.endpoints.pid, signal.SIGKILL)
        self.stack.stop()

    def restart(self) -> None:
        """Start it again on the same data."""
        self._start()

    def _start(self) -> None:
        # a port of its own for each life: whoever knows only the last password finds nobody there
        port = free_port()
        self.stack = Stack.start(self.settings, broker=False, lasting=True, clickhouse_port=port)
        self.port = port
