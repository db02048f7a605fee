"""Every metric that a process shows to Prometheus, by name: here and nowhere else.

A registry belongs to one process and is made by it, so that importing this starts nothing and tests
count from zero. Labels have few values: topics, partitions, reasons, rules; never a customer. What
a name promises is in its help text; ``docs/operating.md`` lists all of them, and a test compares.
"""

from __future__ import annotations

from collections.abc import Iterable
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
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        Gauge(
            "touchline_build_info",
            "Always 1; the labels say what runs here.",
            ("service", "version", "catalog_version"),
            registry=self.registry,
        ).labels(service, version("touchline"), catalog_version).set(1)
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
            "Seconds from a batch's first try until it was stored and safe to commit.",
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
            "touchline_flush_retries_total",
            "Tries of a batch that did not succeed and were repeated, by cause.",
            ("cause",),
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
