"""Which columns of a log a map names, and whether the log can give them."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import Problem
from pipeline.mapping.log_rows import Log
from pipeline.mapping.map_file import LoadedMap
from pipeline.mapping.values import slug
from pipeline.toml_lines import TomlPath
from schemas.mapping import Also, EventId, EventMap, FromColumns, Mapping


def sources(mapping: Mapping) -> Iterator[tuple[TomlPath, FromColumns]]:
    """Yield everything that takes values from columns, with its path."""
    yield from _sources(("event",), mapping.event)
    for number, also in enumerate(mapping.also):
        yield from _sources(("also", number), also)
        if also.once_per is not None:
            yield ("also", number, "once_per"), EventId(uuid_of=also.once_per)


def _sources(at: TomlPath, event: EventMap | Also) -> Iterator[tuple[TomlPath, FromColumns]]:
    for name in type(event).model_fields:
        item = getattr(event, name)
        if isinstance(item, FromColumns):
            yield (*at, name), item
        elif isinstance(item, dict):
            for key, inner in item.items():
                yield (*at, name, key), inner
    if event.rating is not None:
        yield (*at, "rating", "scale"), event.rating.scale
        yield (*at, "rating", "score"), event.rating.score


def missing_columns(loaded: LoadedMap, log: Log) -> Iterator[Problem]:
    """Yield a problem for every column that the map names and the log does not have."""
    for path, item in sources(loaded.mapping):
        for name in [] if item.optional else log.lacks(item.named):
            yield loaded.problem(
                path, f"the log has no column {name!r}", _columns_hint(log.columns, name)
            )


def _columns_hint(columns: tuple[str, ...] | None, name: str) -> str:
    if columns is None:
        return "none of the first rows has it: correct it, or say optional = true"
    if len(columns) == 1:
        return "it has a single column: say its delimiter"
    listed = ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")
    return f"it has {listed}; or say optional = true"


def colliding_columns(loaded: LoadedMap, log: Log) -> Iterator[Problem]:
    """Yield a problem for every unmapped column that has no key of its own in details."""
    mapping = loaded.mapping
    if mapping.unmapped != "details" or log.columns is None:
        return
    spoken_for = {name for _, item in sources(mapping) for name in item.named}
    keys: dict[str, str] = dict.fromkeys(mapping.event.details, "the map")
    for column in log.columns:
        if column in spoken_for:
            continue
        key = slug(column)[:64]
        if not key or key in keys:
            other = f"as {keys[key]} does" if key else "and no letter or digit to name it by"
            yield loaded.problem(
                ("unmapped",),
                f"column {column!r} would be details.{key}, {other}",
                "map it under [event.details], or say unmapped = drop",
            )
        keys.setdefault(key, f"column {column!r}")
