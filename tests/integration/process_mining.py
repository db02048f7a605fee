"""What pm4py reads out of exports, as JSON: ``python -m tests.integration.process_mining FILE …``.

In a process of its own, because pm4py prints and warns as it likes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.integration.command import ROOT, environment

#: Why tests that need pm4py do not run, or None.
MISSING = None if find_spec("pm4py") else "pm4py is not installed (it wants Python 3.11 or newer)"


def mined(files: list[Path]) -> dict[str, Any]:
    """Return what pm4py makes of files, by their names; of event logs also the variants."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.integration.process_mining", *files],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout.splitlines()[-1]))


_SUMMED = ("pains", "glories", "journey_number")


def _log(frame: Any) -> dict[str, Any]:
    import pm4py

    edges, starts, ends = pm4py.discover_dfg(frame)
    return {
        "events": len(frame),
        "cases": sorted(frame["case:concept:name"].unique().tolist()),
        "activities": sorted(frame["concept:name"].unique().tolist()),
        "edges": sorted([*pair, count] for pair, count in edges.items()),
        "variants": [[list(path), count] for path, count in pm4py.get_variants(frame).items()],
        "starts": starts,
        "ends": ends,
        "times": str(frame["time:timestamp"].dtype),
        "columns": sorted(frame.columns),
        "sums": {name: int(frame[name].sum()) for name in _SUMMED if name in frame},
    }


def _objects(file: str) -> dict[str, Any]:
    import pm4py

    log = pm4py.read_ocel2_json(file)
    related = log.relations.groupby("ocel:type")["ocel:oid"].nunique()
    return {
        "events": len(log.events),
        "objects": log.objects["ocel:type"].value_counts().to_dict(),
        "related": related.to_dict(),
        "relations": len(log.relations),
        "o2o": len(log.o2o),
        "activities": sorted(log.events["ocel:activity"].unique().tolist()),
        "types": sorted(pm4py.ocel_get_object_types(log)),
        "orders": sorted(log.objects[log.objects["ocel:type"] == "order_id"]["ocel:oid"].tolist()),
        "pains": int(log.events["pains"].sum()),
    }


def _read(file: str) -> dict[str, Any]:
    import pandas as pd
    import pm4py

    if file.endswith((".json", ".json.gz")):
        return _objects(file)
    if file.endswith((".xes", ".xes.gz")):
        return _log(pm4py.read_xes(file))
    frame = pd.read_parquet(file) if file.endswith(".parquet") else pd.read_csv(file)
    names = {
        "case_id": "case:concept:name",
        "activity_key": "concept:name",
        "timestamp_key": "time:timestamp",
    }
    return _log(pm4py.format_dataframe(frame, **names))


if __name__ == "__main__":
    print(json.dumps({Path(file).name: _read(file) for file in sys.argv[1:]}))  # noqa: T201
