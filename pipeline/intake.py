"""Between the agent and the loop that stores: a bounded wait, and batches by size and age.

Bounded in bytes, because records may be small or large: when ClickHouse does not take batches for
an hour, memory stays flat, Faust's buffers fill, and the rest waits in Kafka.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from pipeline.chunks import Chunk
from pipeline.settings import Settings


class Intake:
    """Takes chunks from the agent and hands out batches. For one agent and one loop.

    Args:
        settings: ``batch_rows``, ``batch_bytes`` and ``batch_seconds`` limit a batch; twice
            ``batch_bytes`` may wait here.
    """

    def __init__(self, settings: Settings) -> None:
        self._rows = settings.batch_rows
        self._bytes = settings.batch_bytes
        self._seconds = settings.batch_seconds
        self._queue: asyncio.Queue[Chunk] = asyncio.Queue()
        self._room = asyncio.Event()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Return the bytes that wait."""
        return self._waiting

    async def put(self, chunk: Chunk) -> None:
        """Add a chunk; waits while too much waits already."""
        while self._waiting and self._waiting + chunk.size > 2 * self._bytes:
            self._room.clear()
            await self._room.wait()
        self._waiting += chunk.size
        self._queue.put_nowait(chunk)

    async def batch(self, patience: float) -> list[Chunk]:
        """Wait for a chunk, then take more until the batch is large or old enough.

        Args:
            patience: Seconds after which an empty batch is returned where none came.
        """
        try:
            chunks = [self._taken(await asyncio.wait_for(self._queue.get(), patience))]
        except asyncio.TimeoutError:
            return []
        rows, size = len(chunks[0].records), chunks[0].size
        deadline = monotonic() + self._seconds
        while rows < self._rows and size < self._bytes:
            try:
                chunk = await asyncio.wait_for(self._queue.get(), max(deadline - monotonic(), 0))
            except asyncio.TimeoutError:
                break
            chunks.append(self._taken(chunk))
            rows, size = rows + len(chunk.records), size + chunk.size
        return chunks

    def _taken(self, chunk: Chunk) -> Chunk:
        self._waiting -= chunk.size
        self._room.set()
        return chunk
