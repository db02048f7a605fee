"""What the front must know about a statement: does data follow its text, does it return rows.

ClickHouse's server reads the data of an INSERT from where its text ends. The embedded engine takes
whole statements only, and cuts data inside one at 256 KiB in silence. So the front splits them:
the data goes to a file, and the text is rewritten to read that file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# The text of an INSERT must end within this many bytes, as on a server (max_query_size).
HEAD_BYTES = 262_144

_TOKEN = re.compile(
    rb"""
      (?P<skip> \s+ | --[^\n]* | \#[\ !][^\n]* | /\*.*?\*/ )
    | (?P<quoted> '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*` )
    | (?P<word> [A-Za-z_][A-Za-z0-9_]* )
    | (?P<open> [(\[{] )
    | (?P<close> [)\]}] )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_FORMAT_NAME = re.compile(rb"\s+([A-Za-z][A-Za-z0-9_]*)")
# Exactly one line break: the first byte of the data may well be another one.
_END_OF_TEXT = re.compile(rb"[ \t\r]*\n|[ \t]*")
_NO_DATA_AFTER = frozenset({b"SELECT", b"WITH", b"FROM", b"WATCH"})
_FORMAT_CLAUSE = re.compile(rb"\bFORMAT\s+(\w+)\s*(?:SETTINGS\b[^']*)?;?\s*\Z", re.IGNORECASE)
_RETURNS_ROWS = frozenset(
    {b"SELECT", b"WITH", b"SHOW", b"DESCRIBE", b"DESC", b"EXPLAIN", b"EXISTS", b"CHECK", b"FROM"}
)


@dataclass(frozen=True)
class InsertText:
    """The text of an INSERT whose data follows it.

    Attributes:
        target: From INSERT to the columns.
        settings: The SETTINGS clause, or nothing.
        format: Input format of the data.
        data_at: Where in the bytes given the data begins.
    """

    target: bytes
    settings: bytes
    format: bytes
    data_at: int

    def reading(self, path: Path) -> bytes:
        """Return the statement that reads the data from a file."""
        quoted = str(path).replace("\\", "\\\\").replace("'", "\\'").encode()
        source = b" FROM INFILE '" + quoted + b"' COMPRESSION 'none' "
        return self.target + source + self.settings + b" FORMAT " + self.format


def split_insert(head: bytes) -> InsertText | None:
    """Find where the text of an INSERT ends and its data begins.

    Args:
        head: The first ``HEAD_BYTES`` of a request, or all of it.

    Returns:
        The text, or None for every statement that has no data after it: another statement, an
        INSERT from a query or from a file, a text that does not end within the head.
    """
    depth, first, settings_at = 0, True, None
    for token in _TOKEN.finditer(head):
        kind, word = token.lastgroup, token.group().upper()
        if kind == "skip":
            continue
        if first and word != b"INSERT":
            return None
        first = False
        depth += (kind == "open") - (kind == "close")
        if kind != "word" or depth:
            continue
        if word in _NO_DATA_AFTER:
            return None
        if word == b"SETTINGS" and settings_at is None:
            settings_at = token.start()
        elif word in (b"VALUES", b"FORMAT"):
            return _ending_at(head, token, settings_at)
    return None


def _ending_at(head: bytes, token: re.Match[bytes], settings_at: int | None) -> InsertText | None:
    """Return the text that ends with VALUES or with FORMAT and the format's name."""
    end, name = token.end(), b"Values"
    if token.group().upper() == b"FORMAT":
        found = _FORMAT_NAME.match(head, end)
        if found is None:
            return None
        end, name = found.end(), found.group(1)
    gap = _END_OF_TEXT.match(head, end)
    text_end = token.start() if settings_at is None else settings_at
    return InsertText(
        target=head[:text_end].rstrip(),
        settings=b"" if settings_at is None else head[settings_at : token.start()].rstrip(),
        format=name,
        data_at=gap.end() if gap else end,
    )


def result_format(sql: bytes, default: str, has_rows: bool) -> str | None:
    """Return the format of a statement's result, or None when it has no result.

    It only labels the response; the engine alone decides what it writes.

    Args:
        sql: The statement that ran.
        default: The format it ran with where it names none.
        has_rows: Whether it answered anything; a SELECT of no rows still has a result.
    """
    if not has_rows and _first_word(sql) not in _RETURNS_ROWS:
        return None
    clause = _FORMAT_CLAUSE.search(sql)
    return clause.group(1).decode("ascii", "replace") if clause else default


def _first_word(sql: bytes) -> bytes:
    """Return the first keyword, in capitals, past comments and brackets."""
    for token in _TOKEN.finditer(sql):
        if token.lastgroup not in ("skip", "open"):
            return token.group().upper()
    return b""
