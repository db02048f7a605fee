"""OCEL 2.0, the object-centric event log standard, as one JSON document.

An event relates to its customer, to its journey and to every case it belongs to (order, ticket,
request, …), each an object of a type of its own; a journey relates to its customer. So nothing has
to be decided about what a case is.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import ExitStack, closing
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from pipeline.export.columns import NAMES, NUMBERS, rows

_TEXTS = ("event_id", "channel", "stage", "need", "segment", "direction", "action", "owner")
_ATTRIBUTES = (*_TEXTS, "pains", "glories", "moments")
#: Values that hold from the beginning have this time in OCEL.
_BEGINNING = "1970-01-01T00:00:00Z"


class OcelLog:
    """Writes OCEL 2.0; events as they come, objects after them.

    Which objects are written already is kept in a temporary database, and the objects in a
    temporary file: both go to disk where there are many.

    Args:
        file: Where to.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._types: set[str] = set()
        self._kinds: set[str] = {"customer", "journey"}
        self._first = True
        self._parts = ExitStack()

    def __enter__(self) -> OcelLog:
        """Begin the document."""
        self._objects = self._parts.enter_context(TemporaryFile())
        seen = self._parts.enter_context(closing(sqlite3.connect("", isolation_level=None)))
        seen.execute("PRAGMA journal_mode = OFF")
        seen.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")
        seen.execute("BEGIN")
        self._seen = seen
        self._file.write(b'{"events":[')
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a block."""
        for row in rows(batch):
            self._file.write(b"\n" if self._first else b",\n")
            self._first = False
            self._file.write(orjson.dumps(self._event(row)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the objects, and of which types everything is."""
        with self._parts:
            if error is not None:
                return
            self._file.write(b'\n],"objects":[')
            self._objects.seek(0)
            shutil.copyfileobj(self._objects, self._file)
            self._file.write(b'\n],"objectTypes":')
            self._file.write(orjson.dumps([_object_type(name) for name in sorted(self._kinds)]))
            self._file.write(b',"eventTypes":')
            self._file.write(orjson.dumps([_event_type(name) for name in sorted(self._types)]))
            self._file.write(b"}\n")

    def _event(self, row: dict[str, Any]) -> dict[str, Any]:
        customer, journey = f"customer:{row['customer_key']}", f"journey:{row['journey_id']}"
        self._types.add(row["touchpoint"])
        self._object(customer, "customer")
        attributes = [{"name": "number", "time": _BEGINNING, "value": str(row["journey_number"])}]
        of_customer = [{"objectId": customer, "qualifier": "of"}]
        self._object(journey, "journey", attributes, of_customer)
        relations = [(customer, "customer"), (journey, "journey")]
        for kind, value in orjson.loads(row["case_ids_json"] or "{}").items():
            self._kinds.add(kind)
            self._object(f"{kind}:{value}", kind)
            relations.append((f"{kind}:{value}", kind))
        return {
            "id": f"{row['customer_key']}:{row['event_id']}",  # an event id is unique in a customer
            "type": row["touchpoint"],
            "time": row["occurred_at"].isoformat(timespec="microseconds"),
            "attributes": [
                {"name": NAMES[name], "value": str(row[name])}
                for name in _ATTRIBUTES
                if row[name] != ""
            ],
            "relationships": [{"objectId": id, "qualifier": kind} for id, kind in relations],
        }

    def _object(
        self,
        identity: str,
        kind: str,
        attributes: list[dict[str, str]] | None = None,
        relationships: list[dict[str, str]] | None = None,
    ) -> None:
        """Write an object where it is not written yet."""
        if not self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (identity,)).rowcount:
            return
        self._objects.write(b",\n" if self._objects.tell() else b"\n")
        document = {
            "id": identity,
            "type": kind,
            "attributes": attributes or [],
            "relationships": relationships or [],
        }
        self._objects.write(orjson.dumps(document))


def _object_type(name: str) -> dict[str, Any]:
    attributes = [{"name": "number", "type": "integer"}] if name == "journey" else []
    return {"name": name, "attributes": attributes}


def _event_type(name: str) -> dict[str, Any]:
    attributes = [
        {"name": NAMES[column], "type": "integer" if column in NUMBERS else "string"}
        for column in _ATTRIBUTES
    ]
    return {"name": name, "attributes": attributes}
