"""Touchline's contracts: events, catalog, tables, named queries. No behaviour lives here.

``interaction`` is the event envelope, ``details`` its part per channel, ``catalog`` the knowledge
of a company's touchpoints, ``mapping`` how a foreign log becomes interactions; ``catalogs/``,
``sql/``, ``json/`` and ``examples/`` hold their data.
"""
