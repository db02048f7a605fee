"""The catalog in the warehouse: what the named queries take names, owners and weights from.

Only what analysts join with; the rules that classify stay in the catalog's file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clickhouse_connect.driver.client import Client

from pipeline.warehouse.client import explained
from schemas.catalog import Catalog

_CURRENT = "SELECT version FROM current_catalog"
_CURRENT_CHANNELS = "SELECT channel FROM channels"
# Later than everything published before, whatever the clocks of the workers or the server say.
_MAKE_CURRENT = """
INSERT INTO catalog_versions (version, name, published_at, journey_gap_seconds)
SELECT {version:String}, {name:String},
       greatest(now64(6, 'UTC'), max(published_at) + toIntervalMicrosecond(1)), {gap:UInt64}
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
                "gap": int(catalog.journey.gap.total_seconds()),
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
    ]
