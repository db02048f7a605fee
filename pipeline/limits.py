"""What the annotations of the contract's fields say, for ``pipeline.structs``.

Reads annotations as pydantic does, and refuses what it does not know: a limit that is overlooked
here would be a record accepted that the contract rejects.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

# No control characters: a length, where it is known that there are none.
_ONE_LINE = re.compile(r"\^\[\^\\x00-\\x1f\\x7f\]\{([0-9]+),([0-9]+)\}\$")
# The same and not only spaces.
_NOT_BLANK = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
# What pydantic's regular expressions (Rust's) and Python's read alike: sets, letters, digits and
# escaped dots, repeated or not, from beginning to end.
_SET = r"\[\^?(?:(?:[A-Za-z0-9_]|\\x[0-7][0-9a-f])-?)+\]"
_SAME_IN_RUST = re.compile(
    rf"\^(?:(?:{_SET}|[A-Za-z0-9_]|\\\.)(?:\*|\{{[0-9]+(?:,[0-9]+)?\}})?)+\$"
)


class Kind(NamedTuple):
    """An annotation taken apart.

    Attributes:
        base: The type inside.
        limits: What limits it, by name: ``ge``, ``max_length``, ``pattern``, ``after`` ….
        optional: Whether it may be None.
    """

    base: Any
    limits: dict[str, Any]
    optional: bool


def kind_of(annotation: Any, metadata: Sequence[Any] = ()) -> Kind:
    """Take an annotation apart.

    Args:
        annotation: The annotation.
        metadata: What a field has beside it.

    Raises:
        TypeError: It has something that this module does not know.
    """
    optional, items = False, list(metadata)
    while (origin := get_origin(annotation)) in (Annotated, Union, UnionType):
        if origin is Annotated:
            annotation, *inner = get_args(annotation)
            items = [*inner, *items]
            continue
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        if items or len(kinds) != 1:
            raise TypeError(f"the union {annotation!r} is not understood")
        annotation, optional = kinds[0], True
    limits: dict[str, Any] = {}
    for name, limit in _limits(items):
        if name in limits:
            raise TypeError(f"{name} of {annotation!r} twice is not understood")
        limits[name] = limit
    return Kind(annotation, limits, optional)


def _limits(items: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for item in items:
        if isinstance(item, FieldInfo):
            yield from _limits(item.metadata)
        elif isinstance(item, AfterValidator):
            yield "after", item.func
        else:  # other validators have names here that nobody takes, so they are refused
            if dataclasses.is_dataclass(item):
                names = [field.name for field in dataclasses.fields(item)]
            else:
                names = list(vars(item))  # pydantic's own, e.g. max_digits
            found = [(name, getattr(item, name)) for name in names]
            yield from ((name, limit) for name, limit in found if limit is not None)


def text_test(limits: dict[str, Any]) -> Callable[[str], object] | None:
    """Replace the pattern in a text's limits by lengths and a test; None where lengths do.

    The test holds for text without control characters, if what it returns is true; it may be
    stricter than the pattern.

    Raises:
        TypeError: Python may read the pattern otherwise than pydantic does.
    """
    pattern = limits.pop("pattern", None)
    if pattern is None:
        return None
    if (line := _ONE_LINE.fullmatch(pattern)) and not limits:
        limits.update(min_length=int(line[1]), max_length=int(line[2]))
        return None
    if pattern == _NOT_BLANK:
        return str.strip
    if not _SAME_IN_RUST.fullmatch(pattern):
        raise TypeError(f"the pattern {pattern!r} is not understood")
    match = re.compile(pattern[1:-1]).fullmatch  # Python's $ lets a newline follow
    return lru_cache(maxsize=4096)(lambda text: match(text) is not None)
