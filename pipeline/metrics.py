"""Every metric that a process shows to Prometheus, by name: here and nowhere else.

A registry belongs to one process and is made by it, so that importing this starts nothing and tests
count from zero. Labels have few values: topics, partitions, reasons, rules; never a customer. What
a name promises is in its help text; ``docs/operating.md`` lists all of them, and a test compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

#: What a scrape is answered with: Prometheus's text format.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds of one flush, and of a refresh of the journeys: from a few records to a long history.
_WORK_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

#: Seconds until an alert is delivered: from one batch to a destination that was down for a day.
_DELIVERY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0)


class Metrics:
    """What every process that keeps running shows. Every method may be called in any thread.

    Attributes:
        registry: Holds the metrics of this process.

    Args:
        service: What runs: ``worker``, ``alerter``.
        catalog_version: Version of the catalog it works with.
        alarms: The reasons for which it can raise an alarm.
    """

    def __init__(self, service: str, catalog_version: str, alarms: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        self._shown: dict[Gauge, frozenset[tuple[str, ...]]] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.build = Gauge(
            "touchline_build_info",
            "Always 1; the labels say what runs here.",
            ("service", "version", "catalog_version"),
            registry=self.registry,
        )
        self.build.labels(service, version("touchline"), catalog_version).set(1)
        self.ready = Gauge(
            "touchline_ready",
            "1 while /readyz answers 200, else 0.",
            registry=self.registry,
        )
        self.alarm = Gauge(
            "touchline_alarm",
            "1 while the process raises an alarm for this reason, else 0.",
            ("reason",),
            registry=self.registry,
        )
        for reason in alarms:
            self.alarm.labels(reason).set(0)
        self.clickhouse_up = Gauge(
            "touchline_clickhouse_up",
            "1 while ClickHouse answers the process, else 0.",
            registry=self.registry,
        )
        self.kafka_up = Gauge(
            "touchline_kafka_up",
            "1 while Kafka tells the process its topics, else 0.",
            registry=self.registry,
        )

    def show(self, gauge: Gauge, values: Mapping[tuple[str, ...], float]) -> None:
        """Let a gauge have these values by its labels, and no others. In one thread at a time."""
        for gone in self._shown.get(gauge, frozenset()) - values.keys():
            gauge.remove(*gone)
        for labels, value in values.items():
            gauge.labels(*labels).set(value)
        self._shown[gauge] = frozenset(values)

    def exposition(self) -> bytes:
        """Return all metrics as they are now, in the format of ``CONTENT_TYPE``."""
        return generate_latest(self.registry)


class WorkerMetrics(Metrics):
    """What a worker shows beside that.

    Args:
        catalog_version: Version of the catalog it classifies by.
        alarms: The reasons for which it can raise an alarm.
        reasons: The reasons for which a record can be rejected.
    """

    def __init__(self, catalog_version: str, alarms: Iterable[str], reasons: Iterable[str]) -> None:
        super().__init__("worker", catalog_version, alarms)
        self._records()
        self._batches()
        self._moments()
        self._positions()
        self._journeys()
        for reason in reasons:
            self.rejected.labels(reason)

    def _records(self) -> None:
        """Records, counted when the batch they are in is done, each batch once."""
        registry = self.registry
        self.consumed = Counter(
            "touchline_records_consumed_total",
            "Records read from Kafka whose batch is done: stored + rejected.",
            ("topic",),
            registry=registry,
        )
        self.stored = Counter(
            "touchline_records_stored_total",
            "Records accepted, which ClickHouse holds when they are counted.",
            ("topic",),
            registry=registry,
        )
        self.rejected = Counter(
            "touchline_records_rejected_total",
            "Records kept whole in the reject topic, by reason.",
            ("reason",),
            registry=registry,
        )
        self.stored_before = Counter(
            "touchline_records_stored_before_total",
            "Of the records stored, those that ClickHouse had already: read again after a restart, "
            "a rebalance or a batch tried again, and not inserted twice.",
            registry=registry,
        )
        self.unclassified = Counter(
            "touchline_records_unclassified_total",
            "Of the records stored, those that no touchpoint rule of the catalog matched.",
            registry=registry,
        )
        self.late = Counter(
            "touchline_records_late_total",
            "Of the records stored, those that came later than the allowed lateness.",
            registry=registry,
        )
        self.future = Counter(
            "touchline_records_future_total",
            "Of the records stored, those that claimed to be of the future.",
            registry=registry,
        )

    def _batches(self) -> None:
        registry = self.registry
        self.flush_seconds = Histogram(
            "touchline_flush_seconds",
            "Seconds of a batch's last try, from its records to all of it being safe to commit.",
            registry=registry,
            buckets=_WORK_SECONDS,
        )
        self.flush_records = Histogram(
            "touchline_flush_records",
            "Records of a batch.",
            registry=registry,
            buckets=(1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000),
        )
        self.retries = Counter(
            "touchline_retries_total",
            "Tries that did not succeed and are repeated, by work (store, journeys) and cause.",
            ("work", "cause"),
            registry=registry,
        )
        self.waiting_bytes = Gauge(
            "touchline_waiting_bytes",
            "Bytes of records fetched from Kafka that are in no batch yet.",
            registry=registry,
        )
        self.last_flush = Gauge(
            "touchline_last_flush_timestamp_seconds",
            "When a batch was last done, seconds since 1970; 0 before the first.",
            registry=registry,
        )
        self.last_commit = Gauge(
            "touchline_last_commit_timestamp_seconds",
            "When Kafka last took committed offsets, seconds since 1970; 0 before the first.",
            registry=registry,
        )

    def _moments(self) -> None:
        registry = self.registry
        self.moments = Counter(
            "touchline_moments_changed_total",
            "Revisions of moments that were sent and recorded, by rule, kind and new status.",
            ("rule", "kind", "status"),
            registry=registry,
        )
        self.promises = Counter(
            "touchline_promises_changed_total",
            "Revisions of promises that were recorded, by promise and new status.",
            ("promise", "status"),
            registry=registry,
        )
        self.open_subjects = Gauge(
            "touchline_open_subjects",
            "Cases, needs and customers that rules hold open in memory, once a rule.",
            registry=registry,
        )

    def _positions(self) -> None:
        registry = self.registry
        self.partitions = Gauge(
            "touchline_partitions_assigned",
            "Partitions of the interaction topics that this worker has.",
            registry=registry,
        )
        self.lag_records = Gauge(
            "touchline_lag_records",
            "Offsets between what is stored and safe and the end of the partition.",
            ("topic", "partition"),
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "touchline_lag_seconds",
            "Age of the oldest record of this worker's partitions that is not stored and safe, by "
            "its Kafka timestamp; where it is not fetched yet, how long its partition has waited. "
            "0 without lag.",
            registry=registry,
        )
        self.watermark_delay = Gauge(
            "touchline_watermark_delay_seconds",
            "How far the watermark of a partition is behind the wall clock; partitions that never "
            "had an event are left out.",
            ("partition",),
            registry=registry,
        )
        self.topics_checked = Gauge(
            "touchline_topics_checked_timestamp_seconds",
            "When the ids of the topics were last seen unchanged, seconds since 1970.",
            registry=registry,
        )

    def _journeys(self) -> None:
        registry = self.registry
        self.journeys_pending = Gauge(
            "touchline_journeys_pending_customers",
            "Customers noted for the refresh of their journeys, once a batch that touched them.",
            registry=registry,
        )
        self.journeys_delay = Gauge(
            "touchline_journeys_delay_seconds",
            "How long the oldest change has waited to be in the journeys; 0 without any.",
            registry=registry,
        )
        self.journeys_refreshed = Counter(
            "touchline_journeys_refreshed_customers_total",
            "Customers whose journeys were computed anew, once a batch that touched them.",
            registry=registry,
        )
        self.refresh_seconds = Histogram(
            "touchline_journeys_refresh_seconds",
            "Seconds of a refresh of journeys.",
            registry=registry,
            buckets=_WORK_SECONDS,
        )


class AlertMetrics(Metrics):
    """What an alerter shows beside what every process does; told by the courier of deliveries.

    Attributes:
        broken: Destinations whose circuit is not closed.

    Args:
        catalog_version: Version of the catalog with the routes.
        alarms: The reasons for which it can raise an alarm.
        destinations: Ids of the destinations.
    """

    def __init__(
        self, catalog_version: str, alarms: Iterable[str], destinations: Iterable[str]
    ) -> None:
        super().__init__("alerter", catalog_version, alarms)
        self.broken: set[str] = set()
        self._rounds()
        self._deliveries()
        for destination in destinations:
            self.waiting.labels(destination).set(0)
            self.circuit_open.labels(destination).set(0)

    def _rounds(self) -> None:
        registry = self.registry
        self.active = Gauge(
            "touchline_alerter_active",
            "1 while this alerter has the moments, 0 while it stands by.",
            registry=registry,
        )
        self.revisions = Counter(
            "touchline_alert_revisions_total",
            "Revisions of moments that were looked at and stored.",
            registry=registry,
        )
        self.invalid = Counter(
            "touchline_alert_records_invalid_total",
            "Records of the topic of moments that are none; they are logged with their place.",
            registry=registry,
        )
        self.decided = Counter(
            "touchline_alert_decisions_total",
            "Decisions on moments: alerted, held or suppressed, and for which reason.",
            ("decision", "reason"),
            registry=registry,
        )
        self.opened = Counter(
            "touchline_alerts_opened_total",
            "Alerts that were opened, by route.",
            ("route",),
            registry=registry,
        )
        self.closed = Counter(
            "touchline_alerts_closed_total",
            "Alerts whose moments are all closed, by route.",
            ("route",),
            registry=registry,
        )

    def _deliveries(self) -> None:
        registry = self.registry
        self.delivered = Counter(
            "touchline_alert_deliveries_total",
            "Deliveries that ended, by what became of them: sent, dead, superseded or skipped.",
            ("destination", "status"),
            registry=registry,
        )
        self.failures = Counter(
            "touchline_alert_failures_total",
            "Tries of deliveries that failed, by cause.",
            ("destination", "cause"),
            registry=registry,
        )
        self.delivery_seconds = Histogram(
            "touchline_alert_delivery_seconds",
            "Seconds from when a moment became one until a destination took its notification.",
            ("destination",),
            registry=registry,
            buckets=_DELIVERY_SECONDS,
        )
        self.outbox_seconds = Histogram(
            "touchline_alert_outbox_seconds",
            "Seconds from when a notification was decided until its destination took it.",
            ("destination",),
            registry=registry,
            buckets=_DELIVERY_SECONDS,
        )
        self.waiting = Gauge(
            "touchline_alert_deliveries_waiting",
            "Deliveries without an outcome.",
            ("destination",),
            registry=registry,
        )
        self.circuit_open = Gauge(
            "touchline_alert_circuit_open",
            "1 while nothing is sent to a destination because it failed again and again.",
            ("destination",),
            registry=registry,
        )

    # --- what the courier tells -------------------------------------------------------------------

    def sent(self, destination: str, action: str, waited: float, since: float | None) -> None:
        """Count a delivery that was taken; the arguments are those of ``CourierEvents``."""
        self.delivered.labels(destination, "sent").inc()
        self.outbox_seconds.labels(destination).observe(waited)
        if since is not None and action == "trigger":
            self.delivery_seconds.labels(destination).observe(max(since, 0.0))

    def failed(self, destination: str, cause: str) -> None:
        """Count a try that failed."""
        self.failures.labels(destination, cause).inc()

    def dead(self, destination: str, action: str) -> None:
        """Count a delivery that was given up."""
        self.delivered.labels(destination, "dead").inc()

    def superseded(self, destination: str) -> None:
        """Count an update that a later one replaced."""
        self.delivered.labels(destination, "superseded").inc()

    def skipped(self, destination: str) -> None:
        """Count a resolve of what was never told."""
        self.delivered.labels(destination, "skipped").inc()

    def circuit(self, destination: str, state: str) -> None:
        """Show the state of a circuit breaker."""
        self.circuit_open.labels(destination).set(state != "closed")
        if state == "closed":
            self.broken.discard(destination)
        else:
            self.broken.add(destination)
