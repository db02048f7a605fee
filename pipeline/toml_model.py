"""TOML that people write, read into a model: what does not fit is said with line, place and fix.

Pydantic says where a value stands in the model; an author looks for it in the file. The two differ
where one value stands for a list of one, and where the model decides by a key (``type`` of a rule)
which of several shapes an entry has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from pipeline.errors import CatalogError, Problem
from pipeline.toml_lines import TomlPath, TomlSource
from schemas.entry import FIELDS, FREE_FIELDS, FieldPath, Version
from schemas.text import Label, Name

_Model = TypeVar("_Model", bound=BaseModel)


def read_model(name: str, text: str, model: type[_Model]) -> tuple[_Model, TomlSource]:
    """Read TOML into a model.

    Args:
        name: Name of the file, for errors.
        text: Its content.
        model: The pydantic model it must fit.

    Raises:
        CatalogError: Every violation, with its line.
    """
    source = TomlSource(name, text)
    try:
        return model.model_validate(source.data), source
    except ValidationError as error:
        errors = error.errors(include_url=False)
    unknown = [item["loc"][:-1] for item in errors if item["loc"][-1:] == ("[key]",)]
    schema = model.model_json_schema()
    found: dict[tuple[int, str], Problem] = {}
    for item in errors:
        below = any(item["loc"][: len(key)] == key for key in unknown)
        if below and item["loc"][-1] != "[key]":
            continue  # what stands below a name that is wrong itself
        new = _problem(source, item, schema)
        place = (new.line, new.where)
        old = found.setdefault(place, new)
        if new.message not in old.message:  # a value that is none of several types
            found[place] = replace(old, message=f"{old.message}; or {new.message}")
    raise CatalogError(sorted(found.values(), key=lambda problem: problem.line))


def near(name: str, known: Iterable[str]) -> str:
    """Return a question that guesses which of the known names was meant; empty if none is near."""
    close = get_close_matches(name, list(known), 1)
    return f"did you mean {close[0]!r}?" if close else ""


def _problem(source: TomlSource, item: Any, schema: dict[str, Any]) -> Problem:
    path = source.in_file(item["loc"])
    kind, context, fix = item["type"], item.get("ctx", {}), ""
    if kind == "extra_forbidden":
        message, fix = _unknown_key(schema, item["loc"])
    elif kind == "missing":
        message, fix = "missing", f"add {path[-1]} = …"
    elif kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        path, message, fix = (*path, key), "missing", f"add {key} = …"
    elif kind == "union_tag_invalid":
        path = (*path, context["discriminator"].strip("'"))
        known = [name.strip(" '") for name in context["expected_tags"].split(",")]
        message = f"{context['tag']!r} is not one of {', '.join(known)}"
        fix = near(context["tag"], known)
    elif kind == "string_pattern_mismatch" and context["pattern"] in _IN_WORDS:
        message, fix = _IN_WORDS[context["pattern"]]
        if context["pattern"] == _pattern(FieldPath):
            fix = _near_field(str(item["input"])) + fix
    else:
        message, _, fix = item["msg"].removeprefix("Value error, ").partition(" (fix: ")
        fix = fix.removesuffix(")")
    is_missing = kind in ("missing", "union_tag_not_found")
    where = source.where(path, is_missing=is_missing)
    return Problem(source.name, source.lines.find(path), where, message, fix)


def _unknown_key(schema: dict[str, Any], path: TomlPath) -> tuple[str, str]:
    """Return what is wrong with a key that a model does not have, and the fix."""
    here = _keys(schema, path[:-1])
    elsewhere = {key for names in _all_keys(schema) for key in names}
    key = str(path[-1])
    fix = "" if key in elsewhere else near(key, here) or near(key, sorted(elsewhere))
    return "unknown key", fix or f"remove it; known here: {', '.join(sorted(here))}"


def _keys(schema: dict[str, Any], path: TomlPath) -> set[str]:
    """Return the keys that a table at ``path`` can have."""
    nodes = [schema]
    for part in path:
        below: list[dict[str, Any]] = []
        for node in _shapes(schema, nodes):
            mapping = node.get("discriminator", {}).get("mapping", {})
            if isinstance(part, int):
                below += [node["items"]] if "items" in node else []
            elif part in node.get("properties", {}):
                below.append(node["properties"][part])
            elif part in mapping:
                below.append({"$ref": mapping[part]})
            elif isinstance(node.get("additionalProperties"), dict):
                below.append(node["additionalProperties"])
        nodes = below or nodes
    return {key for node in _shapes(schema, nodes) for key in node.get("properties", {})}


def _shapes(schema: dict[str, Any], nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what nodes of a JSON Schema stand for: references followed, alternatives listed."""
    found = []
    for node in nodes:
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        found.append(node)
        options = node.get("anyOf", []) + ([] if "discriminator" in node else node.get("oneOf", []))
        found += _shapes(schema, options)
    return found


def _all_keys(schema: dict[str, Any]) -> list[set[str]]:
    return [set(entry.get("properties", ())) for entry in schema.get("$defs", {}).values()]


def _pattern(text: Any) -> str:
    """Return the regular expression of one of the text types of the contracts."""
    return str(next(each.pattern for each in get_args(text) if hasattr(each, "pattern")))


#: What is wrong, and the fix, where a text is not of the shape that its type asks for.
_IN_WORDS = {
    _pattern(Name): (
        "not a usable name",
        "use lower case letters, digits and _, a letter first, 64 characters at most",
    ),
    _pattern(Label): ("not one line of text", "write 1 to 128 characters, no line breaks"),
    _pattern(Version): (
        "not a usable version",
        "use letters, digits, '.', '_' and '-', a letter or digit first, 32 characters at most",
    ),
    _pattern(FieldPath): (
        "not a field that a rule can look at",
        f"use one of {', '.join(FIELDS)}, or "
        + ", ".join(f'"{field}.<name>"' for field in FREE_FIELDS)
        + " with letters, digits and _ in <name>",
    ),
}


def _near_field(name: str) -> str:
    """Return a question that guesses which field was meant; nothing where none is near."""
    head, _, rest = name.partition(".")
    if head in FREE_FIELDS and not rest:
        return f'write the whole path in quotes: where."{head}.<name>"; '
    free = get_close_matches(head, FREE_FIELDS, 1) if rest.isidentifier() else []
    close = get_close_matches(name, FIELDS, 1) or [f"{field}.{rest}" for field in free]
    return f"did you mean {close[0]!r}? " if close and close[0] != name else ""
