"""The tables of metrics in docs/operating.md, written from the metrics themselves.

``python -m tests.metric_docs`` renews them; what stands around them stays. A test compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from pipeline.health import ALARMS
from pipeline.metrics import AlertMetrics, Metrics, WorkerMetrics

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operating.md"
#: What every process shows, and what each kind of process shows beside that.
SHOWN: dict[str, Metrics] = {
    "every process": Metrics("worker", "v1", ALARMS),
    "worker": WorkerMetrics("v1", ALARMS, []),
    "alerter": AlertMetrics("v1", [], []),
}


def metrics(shown: Metrics) -> dict[str, MetricWrapperBase]:
    """Return the metrics of a process by the names that Prometheus sees."""
    found = [value for value in vars(shown).values() if isinstance(value, MetricWrapperBase)]
    return {_name(metric): metric for metric in found}


def names() -> set[str]:
    """Return all names."""
    return {name for shown in SHOWN.values() for name in metrics(shown)}


def table(kind: str) -> str:
    """Return the metrics of one kind of process, a row each."""
    common = metrics(SHOWN["every process"]) if kind != "every process" else {}
    rows = [
        f"| `{name}` | {metric._type} | {', '.join(f'`{x}`' for x in metric._labelnames)} "
        f"| {metric._documentation} |"
        for name, metric in metrics(SHOWN[kind]).items()
        if name not in common
    ]
    return "\n".join(["| metric | type | labels | |", "|---|---|---|---|", *rows])


def renewed(page: str) -> str:
    """Return the page with every table as it ought to be."""
    for kind in SHOWN:
        pattern = re.compile(rf"(<!-- metrics: {kind} -->\n).*?(<!-- end -->)", re.DOTALL)
        assert pattern.search(page), f"docs/operating.md has no place for the metrics of: {kind}"
        page = pattern.sub(lambda found, kind=kind: f"{found[1]}{table(kind)}\n{found[2]}", page)
    return page


def _name(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else str(metric._name)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
