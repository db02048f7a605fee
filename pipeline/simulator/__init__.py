"""Made-up customers of a made-up company, living through its journeys: input to try things on.

``simulate`` yields what reaches Kafka, line by line, and with each line what it truly is. Read
``company`` (what there is to meet), ``customers`` (who begins which journey), ``reaching``,
``buying``, ``aftercare``, ``contact``, ``service`` and ``business`` (the journeys), ``noise`` (what
goes wrong on the way) and ``stream`` (all of it, in order).
"""

from pipeline.simulator.stream import START, Plan, Produced, Truth, simulate

__all__ = ["START", "Plan", "Produced", "Truth", "simulate"]
