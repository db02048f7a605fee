"""Whose interaction it is: the one place that computes the customer key.

Producers need not know the customer: they send the identifiers they have. Identifiers at rest are
keyed hashes (HMAC-SHA256 with a secret pepper), so the warehouse holds nobody's address, number or
card, and only who has the pepper can find a person's rows.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache

from pydantic import SecretStr

#: Which identifier names the customer when an event carries several, strongest first.
PRECEDENCE = ("customer_id", "loyalty_card", "email", "phone", "anonymous_id")
_RANKS = {kind: rank for rank, kind in enumerate(PRECEDENCE)}
#: Length of a key in characters: 128 bits in hexadecimal.
KEY_LENGTH = 32


def identifiers_of(identifiers: Mapping[str, str]) -> dict[str, str]:
    """Return the identifiers by kind, strongest first."""
    if len(identifiers) == 1:
        return dict(identifiers)
    return {kind: identifiers[kind] for kind in sorted(identifiers, key=_rank)}


def _rank(kind: str) -> tuple[int, str]:
    return _RANKS.get(kind, len(_RANKS)), kind


def partition_key(identifiers: Mapping[str, str]) -> bytes:
    """Return the Kafka key: the strongest identifier, so one customer stays in one partition."""
    kind, value = next(iter(identifiers_of(identifiers).items()))
    return f"{kind}:{normal(kind, value)}".encode()


def normal(kind: str, value: str) -> str:
    """Bring one identifier into the form in which equal people have equal values."""
    text = value.strip()
    if kind == "email":
        return text.casefold()
    if kind == "phone":
        plus = "+" if text.startswith("+") else ""
        digits = "".join(char for char in text if char.isdigit())
        return plus + digits if digits else text.casefold()  # "withheld" is nobody's number
    return text


class Keyring:
    """Turns identifiers into keys.

    Args:
        pepper: The secret. The same pepper gives the same keys; losing it loses the link between
            a person and their rows.
    """

    def __init__(self, pepper: SecretStr) -> None:
        secret = pepper.get_secret_value().encode()
        template = hmac.new(secret, digestmod=hashlib.sha256)

        @lru_cache(maxsize=262_144)
        def key(kind: str, value: str) -> str:
            digest = template.copy()
            digest.update(f"{kind}:{normal(kind, value)}".encode())
            return digest.hexdigest()[:KEY_LENGTH]

        self._key = key

    def key(self, kind: str, value: str) -> str:
        """Return the key of one identifier: 32 hexadecimal characters."""
        return self._key(kind, value)

    def keys(self, identifiers: Mapping[str, str]) -> dict[str, str]:
        """Return the key of every identifier present, by kind, strongest first.

        The first value is the customer key.
        """
        key = self._key
        return {kind: key(kind, value) for kind, value in identifiers_of(identifiers).items()}
