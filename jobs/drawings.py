"""What a person looks at rather than reads: a share as a bar, a series as a line of bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from pipeline.warehouse.queries import Result

_BAR_CELLS = 10
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"
#: Columns that make the rows a series: one instant after another.
_ALONG = frozenset({"day", "week", "month"})
#: Units of the columns that are drawn.
_DRAWN = frozenset({"count", "number", "share"})
#: Instants below which there is nothing to see.
_FEWEST = 3


def bar(share: float) -> str:
    """Return a share as a bar, in eighths of a character; what is beyond 0 and 1 is cut."""
    full, rest = divmod(round(min(max(share, 0.0), 1.0) * _BAR_CELLS * 8), 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return a series as a line of bars, the largest value the highest, 0 and less the lowest.

    Args:
        values: What is drawn, in order; None leaves a gap.
        width: Characters at most. More values than that share them, and of each the largest counts.
    """
    each = max(1, -(-len(values) // max(width, 1)))
    groups = [values[start : start + each] for start in range(0, len(values), each)]
    drawn = [max((v for v in group if v is not None), default=None) for group in groups]
    largest = max((value for value in drawn if value is not None), default=0)
    return "".join(" " if value is None else _level(value, largest) for value in drawn)


def series(result: Result, width: int) -> Iterator[Text]:
    """Yield a line for each column of a result whose rows are instants, oldest on the left.

    Columns of nothing but 0 are left out; so is everything where the terminal is too narrow.
    """
    columns = result.query.columns
    if len(result.rows) < _FEWEST or not _ALONG & {column.name for column in columns}:
        return
    lines = {}
    for place, column in enumerate(columns):
        values = [row[place] for row in result.rows]
        if column.unit in _DRAWN and any(values):
            lines[column.name.replace("_", " ")] = values
    most = max(map(len, lines), default=0)
    room = width - most - 3
    if room < _FEWEST:
        return
    for name, values in lines.items():
        yield Text.assemble(f"  {name:<{most}} ", (sparkline(values, room), "cyan"))


def _level(value: float, largest: float) -> str:
    """Return a bar; whatever is above 0 shows above the lowest."""
    if value <= 0:
        return _LEVELS[0]
    return _LEVELS[max(1, round(value * (len(_LEVELS) - 1) / largest))]
