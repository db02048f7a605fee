"""Reading TOML that people write, so that an error can point at the line of a value.

The TOML parsers in use keep no positions, so a second, small reader notes where every table, key
and element of an array begins. It reads only what a parser has accepted, and judges nothing.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import CatalogError, Problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*(?:"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)'|([A-Za-z0-9_-]+))[ \t]*""")
_STRING = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'''', re.DOTALL
)
_BARE = re.compile(r"[^,\]}#\r\n]*")

#: The way to a value: keys, and numbers of elements counted from 0.
TomlPath = tuple[str | int, ...]


def read_text(path: Path) -> str:
    """Return the text of a file that a person wrote, without the mark some editors put before it.

    Raises:
        CatalogError: It cannot be read or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CatalogError([Problem(str(path), 0, "", error.strerror or str(error))]) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CatalogError(
            [Problem(str(path), line, "", f"not UTF-8 at byte {error.start}", "save it as UTF-8")]
        ) from None


def parse_text(name: str, text: str) -> dict[str, Any]:
    """Return what a TOML text holds.

    Args:
        name: Name of the file, for errors.
        text: Its content.

    Raises:
        CatalogError: It is not TOML; names the line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else len(text.splitlines())  # the others are at the end
        raise CatalogError([Problem(name, line, "", f"not valid TOML: {error}")]) from None
    except RecursionError:
        raise CatalogError([Problem(name, 0, "", "arrays or tables too deep")]) from None


class TomlLines:
    """The lines of a TOML text, by path.

    An element of an array, and a key of an inline table, has the line where it begins, be the
    array on one line or on many.

    Args:
        text: A valid TOML document.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._lines: dict[TomlPath, int] = {}
        self._tables: dict[TomlPath, int] = {}
        prefix: TomlPath = ()
        while self._skip_blank():
            before = self._at
            if text[self._at] == "[":
                prefix = self._header()
            else:
                self._pair(prefix)
            if self._at == before:
                break  # not TOML: what was found so far must do

    def find(self, path: Sequence[str | int]) -> int:
        """Return the 1-based line of a value, or of what encloses it; 0 where nothing is known."""
        for size in range(len(path), 0, -1):
            line = self._lines.get(tuple(path[:size]))
            if line is not None:
                return line
        return 0

    def _skip_blank(self) -> bool:
        """Go to the next thing that is neither white nor a comment, if there is any."""
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at < len(self._text)

    def _note(self, path: TomlPath, known: int) -> None:
        """Note the line of a path, and of what encloses it below its first ``known`` parts."""
        line = bisect_right(self._starts, self._at)
        for size in range(known + 1, len(path) + 1):
            self._lines.setdefault(path[:size], line)

    def _key(self) -> tuple[str, ...]:
        parts = []
        while found := _KEY_PART.match(self._text, self._at):
            parts.append(next(part for part in found.groups() if part is not None))
            self._at = found.end()
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return tuple(parts)

    def _header(self) -> TomlPath:
        """Read ``[table]`` or ``[[table]]`` and return the path of what follows."""
        begin = self._at
        brackets = 2 if self._text.startswith("[[", begin) else 1
        self._at += brackets
        names = self._key()
        path: TomlPath = ()
        for place, name in enumerate(names, 1):
            path = (*path, name)
            if brackets == 2 and place == len(names):
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        end, self._at = self._at + brackets, begin
        self._note(path, 0)
        self._at = end
        return path

    def _pair(self, prefix: TomlPath) -> None:
        """Read ``key = value``."""
        begin = self._at
        path = (*prefix, *self._key())
        end, self._at = self._at, begin
        self._note(path, len(prefix))
        self._at = end
        if self._text.startswith("=", self._at):
            self._at += 1
            self._value(path)

    def _value(self, path: TomlPath) -> None:
        self._skip_blank()
        if self._text.startswith("[", self._at):
            self._array(path)
        elif self._text.startswith("{", self._at):
            self._inline_table(path)
        elif found := _STRING.match(self._text, self._at) or _BARE.match(self._text, self._at):
            self._at = found.end()

    def _array(self, path: TomlPath) -> None:
        self._at += 1
        index = 0
        while self._skip_blank() and self._text[self._at] != "]":
            before = self._at
            self._note((*path, index), len(path))
            self._value((*path, index))
            index += 1
            self._skip_comma()
            if self._at == before:
                return
        self._at += 1

    def _inline_table(self, path: TomlPath) -> None:
        self._at += 1
        while self._skip_blank() and self._text[self._at] != "}":
            before = self._at
            self._pair(path)
            self._skip_comma()
            if self._at == before:
                return
        self._at += 1

    def _skip_comma(self) -> None:
        self._skip_blank()
        if self._text.startswith(",", self._at):
            self._at += 1


class TomlSource:
    """A TOML text with what it holds, and where: to say what is wrong with it to its author.

    Args:
        name: Name of the file.
        text: Its content.

    Raises:
        CatalogError: It is not TOML.
    """

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.data = parse_text(name, text)
        self.lines = TomlLines(text)

    def in_file(self, path: TomlPath) -> TomlPath:
        """Return where in the file the value stands that a model has at ``path``.

        Left out is what only the model has: the number of an entry that stands for a list of one,
        and the shape that an entry was taken for, by its ``type``. What comes last stays, be it
        there or missing.
        """
        found: list[str | int] = []
        value: Any = self.data
        is_known = False  # the shape of the entry: a count has a key of that name as well
        for place, part in enumerate(path, 1):
            if isinstance(value, dict):
                if not is_known and value.get("type") == part and place < len(path):
                    is_known = True
                    continue
                if str(part) not in value and place < len(path):
                    continue
                value = value.get(str(part))
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                value = None
            is_known = False
            found.append(part)
        return tuple(found)

    def problem(self, path: TomlPath, message: str, fix: str = "") -> Problem:
        """Return a problem with the value that a model has at ``path``."""
        path = self.in_file(path)
        return Problem(self.name, self.lines.find(path), self.where(path), message, fix)

    def where(self, path: TomlPath, is_missing: bool = False) -> str:
        """Name a value as its author would, e.g. ``touchpoints.product_page.match.2.channel``.

        An entry of a list is called by its id, or by its number counted from 1: that is the second
        rule of the touchpoint ``product_page``. What the file does not hold, such as the list that
        a single value was taken for, is left out.

        Args:
            path: Where the value is, or would be.
            is_missing: Whether the last part of the path is missing, and to be named.
        """
        names: list[str] = []
        value: Any = self.data
        for part in path:
            if isinstance(value, dict):
                value = value.get(str(part))
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                value = None
            if value is None:  # TOML has no null
                names += [str(path[-1])] if is_missing else []
                break
            if isinstance(part, str):
                names.append(part)
            else:
                given = value.get("id") if isinstance(value, dict) else None
                names.append(given if isinstance(given, str) else str(part + 1))
        return ".".join(names)
