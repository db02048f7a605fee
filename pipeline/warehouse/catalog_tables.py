"""The catalog in the warehouse: what the named queries take names, owners and weights from.

Only what analysts join with; what recognises touchpoints and moments stays in the catalog's file.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from pipeline.warehouse.client import explained
from schemas.catalog import Catalog
from schemas.rules import STRIKES

_CURRENT = "SELECT version FROM current_catalog"
_CURRENT_CHANNELS = "SELECT channel FROM channels"
# Later than everything published before, whatever the clocks of the workers or the server say.
_MAKE_CURRENT = """
INSERT INTO catalog_versions (version, name, published_at, journey_gap_seconds, glories_per_pain,
    strikes_threshold, strikes_window_seconds)
SELECT {version:String}, {name:String},
       greatest(now64(6, 'UTC'), max(published_at) + toIntervalMicrosecond(1)), {gap:UInt64},
       {glories:Float64}, {strikes:UInt32}, {window:UInt64}
FROM catalog_versions
"""
_TOUCHPOINT = (
    "touchpoint",
    "name",
    "kind",
    "contact",
    "needs",
    "stage",
    "service",
    "owner",
    "outcome",
    "process",
    "importance",
)
_OUTCOME = ("outcome", "name", "touchpoint", "actions", "ends_journey")
_RULE = ("rule", "name", "type", "kind", "severity", "rule_version", "owner", "source")
_PROMISE = (
    "promise",
    "name",
    "promise_version",
    "term_seconds",
    "calendar",
    "before_seconds",
    "open_for_seconds",
)


def publish(client: Client, catalog: Catalog, version: str) -> bool:
    """Make a catalog the current one.

    Publishing what is current changes nothing; publishing an older version again makes it current
    again. Its rows are there before anything can find it to be current.

    Args:
        client: Client on a migrated database.
        catalog: The catalog.
        version: Its version with the digest of its content: equal versions are equal catalogs.

    Returns:
        Whether it became the current one; False where it was already.

    Raises:
        RetryableError: ClickHouse does not answer for now.
        SchemaMismatch: The tables are not there.
    """
    with explained():
        if client.query(_CURRENT).result_rows == [(version,)]:
            return False
        for table, columns, rows in _tables(catalog):
            if rows:
                client.insert(
                    table,
                    [(version, place, *row) for place, row in enumerate(rows, 1)],
                    column_names=("version", "position", *columns),
                )
        client.command(
            _MAKE_CURRENT,
            parameters={
                "version": version,
                "name": catalog.name,
                "gap": _seconds(catalog.journey.gap),
                "glories": catalog.trust.glories_per_pain,
                "strikes": catalog.strikes.threshold if catalog.strikes else 0,
                "window": _seconds(catalog.strikes.window) if catalog.strikes else 0,
            },
        )
    return True


def current(client: Client) -> tuple[str, frozenset[str]]:
    """Return version and channels of the current catalog; empty before one was published.

    Raises:
        RetryableError: ClickHouse does not answer for now.
        SchemaMismatch: The tables are not there.
    """
    with explained():
        versions = client.query(_CURRENT).result_rows
        channels = client.query(_CURRENT_CHANNELS).result_rows
    return (versions[0][0] if versions else ""), frozenset(row[0] for row in channels)


def _tables(catalog: Catalog) -> list[tuple[str, Sequence[str], list[tuple[Any, ...]]]]:
    """Return table, columns and rows of everything that is published."""
    stages = [(item.id, item.name, item.weight, item.phase, item.funnel) for item in catalog.stages]
    touchpoints = [
        (item.id, *(getattr(item, name) for name in _TOUCHPOINT[1:]))
        for item in catalog.touchpoints
    ]
    return [
        ("catalog_channels", ("channel", "name"), [(it.id, it.name) for it in catalog.channels]),
        ("catalog_needs", ("need", "name"), [(it.id, it.name) for it in catalog.needs]),
        ("catalog_segments", ("segment", "name"), [(it.id, it.name) for it in catalog.segments]),
        ("catalog_stages", ("stage", "name", "weight", "phase", "funnel"), stages),
        ("catalog_touchpoints", _TOUCHPOINT, touchpoints),
        ("catalog_outcomes", _OUTCOME, _outcomes(catalog)),
        ("catalog_rules", _RULE, _rules(catalog)),
        ("catalog_promises", _PROMISE, _promises(catalog)),
    ]


def _outcomes(catalog: Catalog) -> list[tuple[Any, ...]]:
    """Return outcomes, one row a touchpoint."""
    return [
        (item.id, item.name, touchpoint, item.action or [], item.ends_journey)
        for item in catalog.outcomes
        for touchpoint in item.touchpoints
    ]


def _rules(catalog: Catalog) -> list[tuple[Any, ...]]:
    """Return the rules, and three strikes as one more where they are looked for."""
    rules: list[tuple[Any, ...]] = [
        (
            item.id,
            item.name,
            item.type,
            item.kind,
            item.severity,
            item.version,
            item.owner or "",
            item.source,
        )
        for item in catalog.rules
    ]
    found = catalog.strikes
    if found is not None:
        told = (found.severity, found.version, found.owner, found.source)
        rules.append((STRIKES, "Three strikes", "strikes", "pain", *told))
    return rules


def _promises(catalog: Catalog) -> list[tuple[Any, ...]]:
    return [
        (
            item.id,
            item.name,
            item.version,
            None if item.term is None else _seconds(item.term),
            item.calendar or "",
            0 if item.before is None else _seconds(item.before),
            _seconds(item.open_for),
        )
        for item in catalog.promises
    ]


def _seconds(length: timedelta) -> int:
    return int(length.total_seconds())
