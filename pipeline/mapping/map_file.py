"""Reading a MAP.toml: a checked map, with errors that name file, line and fix.

Beyond the types of ``schemas.mapping`` it checks what the contract and the catalog will ask of
every row: whatever the map itself says (constants, translations, defaults) must be valid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError, create_model

from pipeline.errors import CatalogError, Problem
from pipeline.toml_lines import TomlPath, TomlSource, read_text
from pipeline.toml_model import read_model
from schemas.interaction import RATING_SCALES, Envelope, Rating
from schemas.mapping import Also, EventMap, Mapping, RatingMap, Value

_CHECKED = ("action", "segment", "need", "language", "currency", "direction")


@dataclass(frozen=True)
class LoadedMap:
    """A map that passed every check that needs no log.

    Attributes:
        mapping: The model.
        source: The file it was read from.
    """

    mapping: Mapping
    source: TomlSource

    def problem(self, path: TomlPath, message: str, fix: str = "") -> Problem:
        """Return a problem with one value of the map."""
        return self.source.problem(path, message, fix)


def load(path: Path, channels: frozenset[str]) -> LoadedMap:
    """Read and check a map.

    Args:
        path: The TOML file.
        channels: Channels that the catalog declares.

    Raises:
        CatalogError: With every problem found.
    """
    mapping, source = read_model(str(path), read_text(path), Mapping)
    loaded = LoadedMap(mapping, source)
    problems = [*_ids_twice(loaded)]
    for at, event in _events(mapping):
        problems += _invalid_texts(loaded, at, event)
        problems += _unknown_channels(loaded, at, event.channel, channels)
        problems += _rating(loaded, at, event.rating)
    if problems:
        raise CatalogError(sorted(problems, key=lambda problem: problem.line))
    return loaded


def _events(mapping: Mapping) -> Iterator[tuple[TomlPath, EventMap | Also]]:
    yield ("event",), mapping.event
    for number, also in enumerate(mapping.also):
        yield ("also", number), also


def _ids_twice(loaded: LoadedMap) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, also in enumerate(loaded.mapping.also):
        if also.id in seen:
            yield loaded.problem(
                ("also", number, "id"), f"{also.id!r} is there twice", "rename one"
            )
        seen.add(also.id)


def _invalid_texts(loaded: LoadedMap, at: TomlPath, event: EventMap | Also) -> Iterator[Problem]:
    for name in _CHECKED:
        value: Value | None = getattr(event, name)
        if value is None or value.slug:
            continue
        probe = _probe(Envelope, name)
        for below, text in value.results:
            message = _refused(probe, text)
            if message:
                yield loaded.problem((*at, name, *below), message)


def _unknown_channels(
    loaded: LoadedMap, at: TomlPath, value: Value | None, channels: frozenset[str]
) -> Iterator[Problem]:
    for below, text in value.results if value is not None else []:
        if text not in channels:
            yield loaded.problem(
                (*at, "channel", *below),
                f"{text!r} is not a channel of the catalog",
                f"use one of {', '.join(sorted(channels))}, or declare it in the catalog",
            )


def _rating(loaded: LoadedMap, at: TomlPath, rating: RatingMap | None) -> Iterator[Problem]:
    if rating is None:
        return
    probe = _probe(Rating, "scale")
    for below, text in rating.scale.results:
        if _refused(probe, text):
            yield loaded.problem(
                (*at, "rating", "scale", *below),
                f"{text!r} is not a rating scale",
                f"use one of {', '.join(RATING_SCALES)}",
            )


def _probe(model: type[BaseModel], name: str) -> type[BaseModel]:
    """Return a model of one field of another model."""
    info = model.model_fields[name]
    annotation: Any = info.annotation
    return create_model("Probe", value=(annotation, info))


def _refused(probe: type[BaseModel], text: str) -> str:
    """Return why the contract refuses a text; empty where it accepts it."""
    try:
        probe.model_validate({"value": text}, strict=True)
    except ValidationError as error:
        return str(error.errors(include_url=False, include_input=False)[0]["msg"])
    return ""
