"""Bounded text and time types that every contract shares.

Bounds exist so that one absurd value cannot fail a whole insert: ClickHouse's DateTime64 and
LowCardinality columns, and the people reading them, have limits.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

#: First instant an event may carry.
EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: First instant an event may no longer carry.
LATEST = datetime(2100, 1, 1, tzinfo=timezone.utc)

#: A name of the catalog or the envelope: lower case words joined by underscores.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
#: One line of text without control characters, 1 to 128 characters.
Label = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]
#: An identifier or other opaque value, 1 to 256 characters without control characters.
Opaque = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,256}$")]
#: An identifier of a person: as ``Opaque``, and not blank.
Identifier = Annotated[
    str,
    StringConstraints(
        max_length=256, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
    ),
]
#: Free text, up to 2,048 characters.
Text = Annotated[str, StringConstraints(max_length=2048)]
#: An instant with its zone, from 1970 up to and not including 2100.
Instant = Annotated[AwareDatetime, Field(ge=EARLIEST, lt=LATEST)]
#: A length of time in seconds: finite, not negative, at most a year.
Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
