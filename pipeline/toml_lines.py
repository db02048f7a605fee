"""On which line of a TOML file a value stands, so that an error can point at it.

The TOML parsers in use keep no positions, and the files concerned are written by people: tables,
arrays of tables, dotted keys and one key a line. A key that cannot be found is reported with the
line of the nearest enclosing table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(\[\[|\[)\s*([^\[\]]+?)\s*(\]\]|\])\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")

Path = tuple[str | int, ...]


def _parts(text: str) -> tuple[str, ...]:
    return tuple(a or b or c for a, b, c in _PART.findall(text))


class TomlLines:
    """The lines of a TOML text, by path.

    Args:
        text: A valid TOML document.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        counts: dict[Path, int] = {}
        prefix: Path = ()
        quote = ""
        for number, line in enumerate(text.splitlines(), 1):
            if quote:
                quote = "" if quote in line else quote
                continue
            if header := _HEADER.match(line):
                prefix = self._table(_parts(header[2]), header[1] == "[[", counts)
                self._lines.setdefault(prefix, number)
            elif key := _KEY.match(line):
                path = (*prefix, *_parts(key[1]))
                for size in range(len(prefix) + 1, len(path) + 1):
                    self._lines.setdefault(path[:size], number)
                value = line[key.end() :]
                quote = next((q for q in ('"""', "'''") if value.count(q) == 1), "")

    @staticmethod
    def _table(names: Sequence[str], is_array: bool, counts: dict[Path, int]) -> Path:
        path: Path = ()
        for name in names[:-1]:
            path = (*path, name)
            if path in counts:
                path = (*path, counts[path] - 1)
        path = (*path, names[-1])
        if not is_array:
            return path
        counts[path] = counts.get(path, 0) + 1
        return (*path, counts[path] - 1)

    def find(self, path: Sequence[str | int]) -> int:
        """Return the 1-based line of a value, or of what encloses it; 0 where nothing is known."""
        for size in range(len(path), 0, -1):
            line = self._lines.get(tuple(path[:size]))
            if line is not None:
                return line
        return 0
