"""The moments in events that are all there: a file, a story. The same engine, asked once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pipeline.moments.detector import Detector
from pipeline.moments.hours import microseconds
from pipeline.moments.matching import Sighting
from pipeline.moments.rules import Rules
from pipeline.moments.unsaid import Change, Recalled


def changes_in(rules: Rules, sightings: Iterable[Sighting], watermark: datetime) -> list[Change]:
    """Return what there is to say of events, of each moment and promise what is known last.

    Args:
        rules: What to look for.
        sightings: The events that matter, in any order; one of several with the same id counts.
        watermark: What time decides is decided up to here; it is the time of detection, too.
    """
    detector = Detector(rules, lambda customers: Recalled())
    for sighting in sightings:
        detector.feed(sighting)
    return detector.advance(microseconds(watermark), watermark)
