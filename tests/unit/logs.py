"""A small map and log for tests, and what the one makes of the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.errors import RejectedRecord
from pipeline.mapping import map_file
from pipeline.mapping.log_reader import open_log
from pipeline.mapping.map_file import LoadedMap
from pipeline.mapping.mapped import Mapped, Mapper, Unfit
from pipeline.producers.producer import checker

CHANNELS = frozenset({"web", "email", "phone", "store", "post"})

MAP = """source = "shop-log"
unmapped = "drop"

[event]
event_id = { column = "id" }
occurred_at = { column = "at", zone = "Europe/Amsterdam" }
action = { column = "what" }
channel = { column = "via", values = { Internet = "web", Desk = "store" } }

[event.identifiers]
customer_id = { column = "who" }
"""

LOG = """id,at,what,via,who
1,2026-03-01 12:00:00,page_view,Internet,C-1
2,2026-03-01 12:05:00,visit,Desk,C-2
"""


def loaded_map(tmp_path: Path, text: str = MAP) -> LoadedMap:
    path = tmp_path / "map.toml"
    path.write_text(text, encoding="utf-8")
    return map_file.load(path, CHANNELS)


def results(
    tmp_path: Path, content: str | bytes, text: str = MAP, name: str = "log.csv"
) -> list[Mapped | Unfit]:
    mapping = loaded_map(tmp_path, text)
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with open_log(path, mapping.mapping) as log:
        return list(Mapper(mapping, log, checker(CHANNELS, 262_144)).rows())


def event(result: Mapped | Unfit) -> dict[str, Any]:
    assert isinstance(result, Mapped), result
    return orjson.loads(result.value)


def misfit(result: Mapped | Unfit) -> tuple[int, int, str, str]:
    assert isinstance(result, Unfit), result
    return result.number, result.line, result.reason, result.field


def reason_of(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(RejectedRecord) as caught:
        call(*arguments, **options)
    return caught.value.reason
