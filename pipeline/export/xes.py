"""XES, the event log standard of process mining (IEEE 1849), as its version 1.0 writes it.

A trace is a case; concept:name is the touchpoint, time:timestamp when it happened, org:group who
answers for the touchpoint. Everything else has a name of its own, and is left out where empty.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import TracebackType
from typing import Any, BinaryIO
from xml.sax.saxutils import quoteattr

import pyarrow as pa

from pipeline.export.columns import NAMES, NUMBERS, TRANSITION, rows

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0" xes.features="" xmlns="http://www.xes-standard.org/">
<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
<extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
<extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
<global scope="trace">
<string key="concept:name" value=""/>
</global>
<global scope="event">
<string key="concept:name" value=""/>
<date key="time:timestamp" value="1970-01-01T00:00:00.000+00:00"/>
<string key="lifecycle:transition" value="complete"/>
</global>
<classifier name="Activity" keys="concept:name"/>
<string key="lifecycle:model" value="standard"/>
<string key="concept:name" value="touchline"/>
"""
#: What an XML 1.0 document cannot hold in any form.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNIQUE = ("customer_key", "journey_id", "event_id", "case_ids_json", "moments")
#: Texts of which there are few, and so not to be escaped again and again.
_REPEATED = (
    "touchpoint", "owner", "channel", "stage", "need", "segment", "direction", "action",
)  # fmt: skip


class XesLog:
    """Writes XES; the events of a case have to come behind one another.

    Args:
        file: Where to.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._case: str | None = None

    def __enter__(self) -> XesLog:
        """Write what comes before the cases."""
        self._file.write(_HEAD.encode())
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a block."""
        for row in rows(batch):
            text = _event(row)
            if row["case_id"] != self._case:
                begin = f"<trace>\n{_string('concept:name', row['case_id'])}\n"
                text = ("" if self._case is None else "</trace>\n") + begin + text
                self._case = row["case_id"]
            self._file.write(text.encode())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what comes after the cases."""
        self._file.write(b"</trace>\n</log>\n" if self._case is not None else b"</log>\n")


def _event(row: dict[str, Any]) -> str:
    at = row["occurred_at"].isoformat(timespec="microseconds")
    lines = ["<event>", f'<date key="time:timestamp" value="{at}"/>']
    lines += [_string(NAMES[name], row[name]) for name in _UNIQUE if row[name]]
    lines += [_known(NAMES[name], row[name]) for name in _REPEATED if row[name]]
    lines += [f'<int key="{NAMES[name]}" value="{row[name]}"/>' for name in NUMBERS]
    lines += [_known("lifecycle:transition", TRANSITION), "</event>\n"]
    return "\n".join(lines)


def _string(key: str, value: str) -> str:
    shown = quoteattr(_FORBIDDEN.sub("\ufffd", value))
    return f'<string key="{key}" value={shown}/>'


_known = lru_cache(4_096)(_string)
