"""The command ``touchline`` as a person runs it: a process of its own, in some directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipeline.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


def environment(settings: Settings | None = None) -> dict[str, str]:
    """Return the environment of a command that uses the broker of some settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TOUCHLINE_")}
    kept["PYTHONPATH"] = str(ROOT)
    if settings is not None and settings.kafka is not None:
        kept |= {"TOUCHLINE_KAFKA": settings.kafka, "TOUCHLINE_PARTITIONS": "4"}
        kept |= {
            f"TOUCHLINE_{name.upper()}": str(getattr(settings, name))
            for name in ("topic_prefix", "kafka_group", "session_timeout")
        }
    return kept


def touchline(
    directory: Path, *arguments: str, settings: Settings | None = None, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=directory, env=environment(settings), input=given, capture_output=True, timeout=110,
    )  # fmt: skip
