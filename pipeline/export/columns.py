"""What the columns of an export are called where process mining has a name for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

#: Name in a log of the column of the source; the order is that of the columns of a flat file.
NAMES = {
    "case_id": "case:concept:name",
    "touchpoint": "concept:name",
    "occurred_at": "time:timestamp",
    "owner": "org:group",
    "customer_key": "customer",
    "journey_id": "journey",
    "journey_number": "journey_number",
    "event_id": "event_id",
    "channel": "channel",
    "stage": "stage",
    "need": "need",
    "segment": "segment",
    "direction": "direction",
    "action": "action",
    "case_ids_json": "case_ids",
    "pains": "pains",
    "glories": "glories",
    "moments": "moments",
}
#: Those that are whole numbers.
NUMBERS = ("journey_number", "pains", "glories")
#: Every event is the end of what it tells.
TRANSITION = "complete"

_SLICE = 4_096


def rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Yield the rows of a block by name, without holding all of them as Python objects."""
    for start in range(0, batch.num_rows, _SLICE):
        yield from batch.slice(start, _SLICE).to_pylist()
