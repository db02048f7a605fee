"""The moments that were found beside those that the simulator knows of, rule by rule."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from clickhouse_connect.driver.client import Client

from pipeline.identify import Keyring
from pipeline.simulator import Book
from pipeline.simulator.findings import Finding, comparable, expected

_MOMENTS = """
SELECT subject, rule, kind, customer_key, cause, status, occurred_at, due_at, closed_at, closed_by
FROM moments
"""
_WATERMARKS = """
SELECT customer_key, watermark
FROM (SELECT DISTINCT customer_key, partition FROM interaction_records) AS customers
INNER JOIN
(
    SELECT partition, max(watermark) AS watermark FROM detection_progress FINAL GROUP BY partition
) AS progress USING partition
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)


def compare(client: Client, keyring: Keyring, book: Book) -> dict[str, Any]:
    """Compare what was found with what a simulation meant, as of the present watermarks.

    Args:
        client: ClickHouse client.
        keyring: Hashes the customers.
        book: Notes of the simulation.

    Returns:
        How many moments there are, were found, are missing and are too many; the same by rule.
    """
    numbers = {keyring.key("customer_id", number): number for number in book.customers()}
    watermarks = {
        numbers[key]: -(-(at - _EPOCH) // _MILLISECOND)
        for key, at in client.query(_WATERMARKS).result_rows
        if key in numbers
    }
    meant = expected(book, watermarks.__getitem__)
    rows = [row for row in client.query(_MOMENTS).result_rows if row[3] in numbers]
    found = {
        replace(item, customer=numbers[item.customer])
        for item in comparable([(row[0], Finding(*row[1:])) for row in rows])
    }
    rules: dict[str, dict[str, int]] = {}
    sides = {"truth": meant, "found": found, "missing": meant - found, "extra": found - meant}
    for side, moments in sides.items():
        for rule, number in Counter(item.rule for item in moments).items():
            rules.setdefault(rule, dict.fromkeys(sides, 0))[side] = number
    return {
        **{side: len(moments) for side, moments in sides.items()},
        "pains": sum(item.kind == "pain" for item in found),
        "glories": sum(item.kind == "glory" for item in found),
        "rules": dict(sorted(rules.items())),
    }
