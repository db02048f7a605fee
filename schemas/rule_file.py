"""A file with nothing but rules of moments: what is tried on history before it is in the catalog.

It is laid over a catalog: an entry replaces the one of the same id or is added to them, and so do
the tables ``[strikes]`` and ``[trust]``.
"""

from __future__ import annotations

from pydantic import Field

from schemas.entry import Entry
from schemas.rules import Rule, Strikes, Trust
from schemas.terms import Calendar, Promise


class RuleFile(Entry):
    """The parts of a catalog that say which moments there are."""

    calendars: list[Calendar] = Field(default_factory=list)
    promises: list[Promise] = Field(default_factory=list)
    rules: list[Rule] = Field(default_factory=list)
    strikes: Strikes | None = None
    trust: Trust | None = None
