"""Text from elsewhere made safe to show: in one line, without control characters, not too long."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

#: Control, format (such as those that turn the direction of writing), surrogate and private.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co"})


def one_line(text: str, most: int = 200) -> str:
    """Return text in one line of at most ``most`` characters."""
    visible = "".join(" " if unicodedata.category(char) in _UNSHOWN else char for char in text)
    line = " ".join(visible.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def lines(text: str) -> list[str]:
    """Return the lines of a text, each as ``one_line`` makes it."""
    return [one_line(line, 1_000) for line in text.splitlines()]


def without(text: str, secrets: Iterable[str]) -> str:
    """Return text with secrets starred out, such as those that a receiver repeats in its answer."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
