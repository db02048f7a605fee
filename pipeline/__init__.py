"""Touchline's library: an interaction event's life from Kafka to ClickHouse, one module a step.

Read in this order: ``settings`` (what is configured), ``topics`` (where records live),
``producers`` (how they get in), ``transport`` (how a worker takes them out, in batches),
``decode`` (bytes to valid interactions), ``identify`` (whose they are), ``classify`` (which
touchpoint and stage), ``sink`` (into ClickHouse, exactly once), ``warehouse`` (schema and
questions) and ``embedded`` (a broker and an engine on this machine).
"""
