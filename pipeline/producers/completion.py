"""One line of a file of interactions, checked, with what goes without saying put in.

Who sends a file to a channel need not repeat the channel on every line, nor the version of the
contract. Everything else of a line stays as it is, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from pipeline.decode import Decoded, Reason
from pipeline.errors import RejectedRecord
from schemas.interaction import SCHEMA_VERSION

#: Reason code of a line that says another channel than the one it is sent to.
OTHER_CHANNEL = "other_channel"

_BEYOND_COMPLETION = frozenset(
    reason.value
    for reason in (
        Reason.EMPTY,
        Reason.TOO_LARGE,
        Reason.INVALID_JSON,
        Reason.DUPLICATE_KEY,
        Reason.TOO_DEEP,
        Reason.NOT_AN_OBJECT,
    )
)


def checked(
    line: bytes, channel: str | None, check: Callable[[bytes], Decoded]
) -> tuple[bytes, Decoded]:
    """Return a line as it is to be sent, and its content.

    Args:
        line: A JSON object; white space around it does not count.
        channel: The channel it is sent to; None where each line says its own.
        check: Validates, e.g. ``Producer.check``.

    Raises:
        RejectedRecord: It is not valid, or says another channel.
    """
    value = line.strip()
    if (channel is not None and b'"channel"' not in value) or b'"schema_version"' not in value:
        value = _completed(value, channel)
    try:
        decoded = check(value)
    except RejectedRecord as cause:
        if cause.reason in _BEYOND_COMPLETION:
            raise
        completed = _completed(value, channel)  # the words stood elsewhere, inside something
        if completed == value:
            raise
        value, decoded = completed, check(completed)
    if channel is not None and decoded.interaction.channel != channel:
        raise RejectedRecord(OTHER_CHANNEL, f"the line is not for {channel!r}", "channel")
    return value, decoded


def _completed(value: bytes, channel: str | None) -> bytes:
    """Put channel and schema_version first where an object has none."""
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value  # told in words when it is checked
    if not isinstance(event, dict):
        return value
    missing = {}
    if channel is not None and "channel" not in event:
        missing["channel"] = channel
    if "schema_version" not in event:
        missing["schema_version"] = SCHEMA_VERSION
    if not missing:
        return value
    comma = b"," if event else b""
    return orjson.dumps(missing)[:-1] + comma + value[1:]
