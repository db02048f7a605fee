"""What can be seen of ClickHouse without changing it: version, schema, rights, room, clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.catalog import load as load_catalog
from pipeline.doctor.findings import Result, fail, ok, skip, warn
from pipeline.doctor.kafka import LOOPBACK
from pipeline.settings import Settings
from pipeline.warehouse.catalog_tables import current
from pipeline.warehouse.client import ACCESS_CODES, connect, translated
from pipeline.warehouse.lifecycle import lifecycle_statements
from pipeline.warehouse.migrate import check_schema, pending
from pipeline.warehouse.refresh import never_built
from pipeline.warehouse.roles import role_statements

#: The views need it; 26.7 answers questions about one customer without reading everything.
OLDEST, BETTER = (25, 8), (26, 7)
#: Seconds that clocks may differ before somebody should look.
SKEW_SECONDS = 2.0

_NOW = "SELECT now64(6, 'UTC')"
_DISKS = "SELECT name, free_space, total_space FROM system.disks WHERE total_space > 0"
_PARTS = """
SELECT table, partition, count() AS parts FROM system.parts
WHERE database = {database:String} AND active
GROUP BY table, partition ORDER BY parts DESC LIMIT 1
"""
_PARTS_LIMITS = """
SELECT name, toUInt64(value) FROM system.merge_tree_settings
WHERE name IN ('parts_to_delay_insert', 'parts_to_throw_insert')
"""
_READ_ONLY = """
SELECT table FROM system.replicas WHERE database = {database:String} AND is_readonly
"""
_CLUSTER = "SELECT count() FROM system.clusters WHERE cluster = {cluster:String}"
_STUCK = """
SELECT table, mutation_id FROM system.mutations
WHERE database = {database:String} AND NOT is_done AND latest_fail_reason != ''
"""
_GRANT = re.compile(r"(SELECT(?:, INSERT)?) ON (`[^`]+`\.\w+)")


class Warehouse:
    """The checks of one ClickHouse; they share a connection.

    Args:
        settings: With the address filled in.
        embedded: Whether it is the embedded engine, which has one user and migrates by itself.
    """

    def __init__(self, settings: Settings, embedded: bool) -> None:
        self._settings = settings
        self._embedded = embedded
        self._connection: Client | None = None

    @property
    def _client(self) -> Client:
        if self._connection is None:
            self._connection = connect(self._settings)
        return self._connection

    def reachable(self) -> Iterator[Result]:
        """Yield whether it answers, whether its version will do, and whether others can listen.

        Raises:
            RetryableError: Nothing answers.
            FatalError: User or password are wrong.
        """
        said = str(self._client.server_version)
        version = tuple(int(part) for part in said.split(".")[:2])
        address = urlsplit(self._settings.clickhouse or "")
        if version < OLDEST:
            yield fail(
                f"ClickHouse {said} is too old", "install 25.8 or newer; 26.7 or newer is better"
            )
        elif version < BETTER:
            yield warn(
                f"ClickHouse {said} reads all interactions for a question about one customer",
                "install 26.7 or newer where `touchline journey` is slow",
            )
        else:
            yield ok(f"ClickHouse {said} answers")
        if address.scheme == "clickhouse" and address.hostname not in LOOPBACK:
            yield warn(
                f"rows and the password go to {address.hostname} unencrypted",
                "enable HTTPS there and begin TOUCHLINE_CLICKHOUSE with clickhouses://",
            )

    def schema(self) -> Iterator[Result]:
        """Yield whether database and tables are what this version expects.

        Raises:
            SchemaMismatch: A migration was edited, or the database went beyond this version.
        """
        settings = self._settings
        newer = check_schema(self._client, complete=False)
        lacking = [] if newer else pending(self._client, settings)
        if lacking:
            yield fail(
                f"database {settings.database} lacks {len(lacking)} migrations, beginning with "
                f"{lacking[0].name}",
                "run `touchline migrate`",
            )
            return
        if newer:
            yield warn(
                f"database {settings.database} is newer than this program, and it can use it: "
                f"{', '.join(newer)}",
                "install that version of Touchline here, too (docs/upgrading.md)",
            )
        else:
            yield ok(f"database {settings.database} has every migration, none edited")
        if never_built(self._client):
            yield warn("stored interactions are in no journey", "run `touchline rebuild` once")
        kept = lifecycle_statements(self._client, settings)
        if kept:
            yield warn(
                f"tables do not keep their rows as the settings say: {', '.join(kept)}",
                "run `touchline migrate`",
            )

    def privileges(self) -> Iterator[Result]:
        """Yield whether the user may do what a worker does: what the role of writers is granted."""
        if self._embedded:
            return
        wanted = _GRANT.findall(role_statements(self._settings)["writer.sql"][1])
        lacking = []
        for rights, table in wanted:
            rows = self._rows(f"CHECK GRANT {rights} ON {table}")
            if rows is None:
                yield skip("the server does not tell what the user may do")
                return
            if not rows[0][0]:
                lacking.append(f"{rights} ON {table.split('.')[1]}")
        if lacking:
            yield warn(
                f"the user may not do what a worker does: {'; '.join(lacking[:4])}"
                + (f"; {len(lacking) - 4} more" if len(lacking) > 4 else "")
                + " (analysts need less)",
                f"`touchline migrate --roles`, then `GRANT {self._settings.database}_writer TO` it",
            )
        else:
            yield ok(f"the user may write to all of {len(wanted)} tables and views of a worker")

    def catalog(self) -> Iterator[Result]:
        """Yield whether the catalog here is the one that was published last."""
        mine = load_catalog(self._settings.catalog).version
        published, _ = current(self._client)
        if not published:
            yield ok("no worker has published a catalog yet")
        elif published != mine:
            yield warn(
                f"workers classify by version {published}, and here is {mine}",
                "restart the workers with this catalog (TOUCHLINE_CATALOG), or use theirs here",
            )
        else:
            yield ok(f"version {published} is the one that workers published last")

    def room(self) -> Iterator[Result]:
        """Yield how full the disks are, and whether tables have too many parts."""
        disks = self._rows(_DISKS)
        if disks is None:
            yield skip("the user may not see the server's disks and parts")
            return
        for name, free, total in disks:
            said = f"disk {name} has {free / (1 << 30):,.1f} of {total / (1 << 30):,.1f} GiB free"
            fix = "make room: a larger disk, or terms for rows (TOUCHLINE_KEEP_…_DAYS)"
            if free < min(0.02 * total, 10 << 30):
                yield fail(said, fix)
            elif free < min(0.1 * total, 50 << 30):
                yield warn(said, fix)
            else:
                yield ok(said)
        limits = dict(self._rows(_PARTS_LIMITS) or ())
        for table, partition, parts in self._rows(_PARTS) or ():
            said = f"{table} has {parts} parts in partition {partition}"
            fix = "larger batches (TOUCHLINE_BATCH_ROWS, TOUCHLINE_BATCH_SECONDS), faster disks"
            if parts >= limits.get("parts_to_throw_insert", 3_000):
                yield fail(f"{said}: inserts are refused", fix)
            elif parts >= limits.get("parts_to_delay_insert", 1_000):
                yield warn(f"{said}: inserts are slowed down", fix)
            else:
                yield ok(f"{said}, the most of any")

    def tables(self) -> Iterator[Result]:
        """Yield replicas that take no rows, mutations that fail, a cluster that is not there."""
        for (table,) in self._rows(_READ_ONLY) or ():
            yield fail(
                f"replica of {table} is read-only", "look at ClickHouse Keeper and the server's log"
            )
        for table, mutation in self._rows(_STUCK) or ():
            yield warn(
                f"mutation {mutation} of {table} fails again and again",
                "see latest_fail_reason in system.mutations, then KILL MUTATION",
            )
        cluster = self._settings.cluster
        if cluster and self._rows(_CLUSTER, cluster=cluster) == [(0,)]:
            yield fail(
                f"the server knows no cluster {cluster}",
                "set TOUCHLINE_CLUSTER to one of system.clusters, or unset it",
            )

    def clock(self) -> Iterator[Result]:
        """Yield how far the server's clock is from this machine's."""
        before = datetime.now(timezone.utc)
        rows = self._rows(_NOW) or []
        after = datetime.now(timezone.utc)
        yield from skew(rows[0][0], before, after, self._settings.clock_tolerance)

    def _rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]] | None:
        """Return the rows of a question; None where the user may not ask it."""
        asked = {"database": self._settings.database, **parameters}
        try:
            return [tuple(row) for row in self._client.query(sql, parameters=asked).result_rows]
        except ClickHouseError as error:
            if getattr(error, "code", None) in ACCESS_CODES:
                return None
            raise translated(error) from error


def skew(at: datetime, before: datetime, after: datetime, tolerance: float) -> Iterator[Result]:
    """Yield what a server's clock is worth.

    Args:
        at: What it said.
        before: When it was asked, by this machine's clock.
        after: When the answer was there.
        tolerance: Seconds beyond which an event is of the future.
    """
    # all that is known is that it was asked for between the two
    seconds = (max(at - after, timedelta()) + min(at - before, timedelta())).total_seconds()
    said = f"the server's clock is {abs(seconds):.1f} s {'ahead' if seconds > 0 else 'behind'}"
    fix = "let both machines keep time by NTP (`timedatectl`, `chronyc tracking`)"
    if abs(seconds) > tolerance:
        yield fail(f"{said}, more than TOUCHLINE_CLOCK_TOLERANCE", fix)
    elif abs(seconds) > SKEW_SECONDS:
        yield warn(said, fix)
    else:
        yield ok(f"the server's clock agrees within {SKEW_SECONDS:g} s")
