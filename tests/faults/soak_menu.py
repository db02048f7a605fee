"""What a soak does to the parts: one fault after the other, chosen at random."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from time import sleep
from typing import Any

from jobs.drain import WorkerProcess
from tests.faults.harness import Trial
from tests.faults.http_proxy import MEMORY, TABLE_IS_READ_ONLY, TOO_MANY_PARTS, Fault


class Crew:
    """The workers of a soak: always as many, whatever happens to them.

    Args:
        run: The parts.
        size: How many workers.
        settings: Of each.
    """

    def __init__(self, run: Trial, size: int, **settings: Any) -> None:
        self._run = run
        self._settings = settings
        self.workers: list[WorkerProcess] = [run.worker(**settings) for _ in range(size)]

    def check(self) -> None:
        """Fail where a worker ended that nobody ended."""
        for worker in self.workers:
            worker.check()

    def replace(self, worker: WorkerProcess) -> None:
        """Start another in the place of one that ended."""
        worker.process.wait()
        self._run.line.workers.remove(worker)
        self.workers[self.workers.index(worker)] = self._run.worker(**self._settings)


def menu(run: Trial, crew: Crew, dice: random.Random) -> dict[str, Callable[[], None]]:
    """Return the faults by name; each returns when it is over, though not yet recovered from."""

    def kill_worker() -> None:
        worker = dice.choice(crew.workers)
        worker.process.kill()
        crew.replace(worker)

    def stop_worker() -> None:
        worker = dice.choice(crew.workers)
        worker.stop()
        assert worker.process.returncode == 0, "a worker that was told to stop did not end well"
        crew.replace(worker)

    def freeze_worker() -> None:
        worker = dice.choice(crew.workers)
        worker.process.send_signal(signal.SIGSTOP)
        sleep(dice.uniform(5, 20))
        worker.process.send_signal(signal.SIGCONT)

    def kill_engine() -> None:
        run.engine.kill()
        sleep(dice.uniform(0, 5))
        run.engine.restart()
        run.reconnect()

    def clickhouse_refuses() -> None:
        run.wire.refuse()
        sleep(dice.uniform(5, 20))
        run.wire.resume()

    def clickhouse_freezes() -> None:
        run.wire.silence()
        sleep(dice.uniform(5, 15))
        run.wire.resume()

    def clickhouse_connections_cut() -> None:
        for _ in range(10):
            run.wire.cut()
            sleep(0.3)

    def clickhouse_errors() -> None:
        for code in (TABLE_IS_READ_ONLY, TOO_MANY_PARTS, MEMORY):
            run.clickhouse.inject(Fault("error", "INSERT INTO", 3, every=4, code=code))
        sleep(10)
        run.clickhouse.clear()

    def clickhouse_answers_lost() -> None:
        run.clickhouse.inject(Fault("lose_answer", "INSERT INTO", 10, every=5))
        sleep(10)
        run.clickhouse.clear()

    def broker_refuses() -> None:
        run.kafka.refuse()
        sleep(dice.uniform(3, 15))
        run.kafka.resume()

    def broker_connections_cut() -> None:
        for _ in range(5):
            run.kafka.cut()
            sleep(0.5)

    faults = (
        kill_worker, stop_worker, freeze_worker, kill_engine, clickhouse_refuses,
        clickhouse_freezes, clickhouse_connections_cut, clickhouse_errors, clickhouse_answers_lost,
        broker_refuses, broker_connections_cut,
    )  # fmt: skip
    return {fault.__name__.replace("_", " "): fault for fault in faults}
