"""The consumers that the benchmark compares, each a process that reports how long it took.

Run by ``tests.bench``: ``python -m tests.bench.consumers KIND BROKER RECORDS HOME``.

``stock``: a plain Faust agent, one event at a time, decoding each with ``pipeline.decode``.
``chunks``: the same decode on Touchline's record-batch transport.
``steps``: the same, and identify, classify, rows and which rules an event matters to, as the worker
does before its sink.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import Any

import faust
from pydantic import SecretStr

from pipeline import catalog, topics, worker
from pipeline.batch import Steps
from pipeline.chunks import ChunkSchema
from pipeline.decode import decode, known_channels
from pipeline.identify import Keyring
from pipeline.moments.rules import Rules
from pipeline.settings import Settings


class Clock:
    """Counts records and ends the process with a report at the last one."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.seen = 0
        self.began = 0.0

    def start(self) -> None:
        if not self.began:
            self.began = perf_counter()

    def count(self, records: int) -> None:
        self.seen += records
        if self.seen >= self.wanted:
            seconds = perf_counter() - self.began
            sys.stdout.write(json.dumps({"records": self.seen, "seconds": seconds}) + "\n")
            sys.stdout.flush()
            os._exit(0)  # the measurement is over: no orderly leaving of the group


def app_for(settings: Settings, cls: type[faust.App], kind: str) -> Any:
    options = {**worker._options(settings), "stream_buffer_maxsize": 16_384}  # a whole fetch
    return cls(f"bench-{kind}-{os.getpid()}", **options)


def stock(settings: Settings, clock: Clock, names: list[str], channels: frozenset[str]) -> Any:
    app = app_for(settings, faust.App, "stock")
    topic = app.topic(*names, value_type=bytes, value_serializer="raw", key_serializer="raw")

    @app.agent(topic, name="stock")
    async def read(values: Any) -> None:
        async for value in values:
            clock.start()
            decode(value, channels, 262_144)
            clock.count(1)

    return app


def chunked(
    settings: Settings, clock: Clock, names: list[str], work: Callable[[Any], None], kind: str
) -> Any:
    app = app_for(settings, worker.Worker, kind)

    @app.agent(app.topic(*names, schema=ChunkSchema()), name=kind)
    async def read(chunks: Any) -> None:
        async for chunk in chunks:
            clock.start()
            work(chunk)
            app.consumer.processed(chunk)
            clock.count(len(chunk.records))

    return app


def main() -> None:
    kind, broker, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
    settings = Settings(kafka=broker, session_timeout=6, home=Path(sys.argv[4]))
    loaded = catalog.load()
    ids = topics.ensure(settings, loaded.catalog)
    names, channels = sorted(ids), known_channels(loaded.channels)
    clock = Clock(records)
    if kind == "stock":
        app = stock(settings, clock, names, channels)
    elif kind == "chunks":

        def decode_all(chunk: Any) -> None:
            for record in chunk.records:
                decode(record.value, channels, 262_144)

        app = chunked(settings, clock, names, decode_all, kind)
    else:
        keyring = Keyring(SecretStr("bench" * 4))
        steps = Steps(loaded, Rules(loaded).matcher, keyring, ids, 262_144)

        def run(chunk: Any) -> None:
            steps.run([chunk], datetime.now(timezone.utc), lambda partition: 0)

        app = chunked(settings, clock, names, run, kind)
    app.Worker(
        loglevel="ERROR", override_logging=False, redirect_stdouts=False, blocking_timeout=0
    ).execute_from_commandline()


if __name__ == "__main__":
    main()
