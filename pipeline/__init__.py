"""Touchline's library: an interaction event's life from Kafka to ClickHouse, one module a step.

Read in this order: ``settings`` (what is configured), ``topics`` (where records live),
``producers`` and ``mapping`` (how they get in, from applications and from logs), ``chunks`` and
``transport`` (how a worker takes them out, in chunks, losing none), ``decode`` (bytes to valid
interactions), ``identify`` (whose they are), ``classify`` (which touchpoint and stage), ``batch``
(these steps over a batch), ``sink`` (into ClickHouse, each once), ``rejects`` (what could not be
used), ``intake``, ``storing`` and ``worker`` (the Faust application around it), ``pulse`` and
``health`` (what it tells monitoring), ``warehouse`` (schema and questions), ``embedded`` (a broker
and an engine on this machine) and ``simulator``.
"""
