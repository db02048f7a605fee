"""Made-up customers of a made-up company, living through its journeys: input to try things on.

``simulate`` yields what reaches Kafka, line by line, and with each line what it truly is;
``moments_of`` tells the moments of truth there are. Read ``company`` (what there is to meet),
``customers`` (who begins which journey), ``reaching``, ``buying``, ``aftercare``, ``contact``,
``service`` and ``business`` (the journeys), ``stories`` (journeys that plant moments of truth),
``noise`` (what goes wrong on the way), ``stream`` (all of it, in order), ``book`` and ``truth``
(which moments of truth came of it).
"""

from pipeline.simulator.book import Book, MomentTruth, NearMiss
from pipeline.simulator.stream import START, Plan, Produced, Truth, moments_of, simulate, start_for

__all__ = [
    "START",
    "Book",
    "MomentTruth",
    "NearMiss",
    "Plan",
    "Produced",
    "Truth",
    "moments_of",
    "simulate",
    "start_for",
]
