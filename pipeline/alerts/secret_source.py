"""Secrets of destinations: from an environment variable or a file, never from the catalog.

What goes wrong is said with the name of the variable or the file, never with what is in it.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr

from pipeline.errors import SettingsError

#: No secret is larger; what is was not meant, e.g. a log.
_MOST_BYTES = 65_536


def read_secret(source: str, destination: str) -> SecretStr:
    """Read a secret now.

    Args:
        source: ``env:NAME`` or ``file:/path``; white space around what is there is dropped.
        destination: Id of the destination that needs it, for the message.

    Raises:
        SettingsError: It is not there, empty, too large or not text.
    """
    kind, _, place = source.partition(":")
    text = _variable(place, destination) if kind == "env" else _file(Path(place), destination)
    if not text.strip():
        raise SettingsError(f"destination {destination}: {source} is empty")
    return SecretStr(text.strip())


def _variable(name: str, destination: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SettingsError(
            f"destination {destination}: environment variable {name} is not set (fix: set it, or "
            "name a file: file:/run/secrets/…)"
        )
    return value


def _file(path: Path, destination: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # a path can hold a null byte
        why = getattr(error, "strerror", None) or "not a path"
        raise SettingsError(f"destination {destination}: cannot read {path}: {why}") from None
    if len(data) > _MOST_BYTES:
        raise SettingsError(f"destination {destination}: {path} is too large for a secret")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise SettingsError(f"destination {destination}: {path} is not UTF-8") from None
