"""The file by which a worker shows that it lives, for who looks from outside its process."""

from __future__ import annotations

from pathlib import Path

from pipeline.settings import Settings

#: How often a worker shows that it is not stuck, seconds.
ALIVE_SECONDS = 10.0


def alive_file(settings: Settings) -> Path:
    """Return the file a worker touches every ``ALIVE_SECONDS`` while it turns and reaches Kafka."""
    return settings.home / "worker.alive"
