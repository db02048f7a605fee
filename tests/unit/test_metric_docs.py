"""Metrics, alarms and rules: what docs and examples say of them is what there is."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.cli import COMMANDS
from pipeline.health import ALARMS
from pipeline.settings import Settings, secrets
from tests.metric_docs import PAGE, names, renewed

ROOT = Path(__file__).parents[2]
TEXT = PAGE.read_text(encoding="utf-8")
RULES = ROOT / "docs" / "examples" / "prometheus" / "rules.yml"
SUFFIXES = ("_bucket", "_count", "_sum")
NAME = re.compile(r"touchline_[a-z0-9_]+")


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    assert group["name"] == "touchline"
    return group["rules"]


def test_the_tables_of_metrics_are_those_of_the_code():
    assert renewed(TEXT) == TEXT, "renew them: python -m tests.metric_docs"


def test_every_metric_of_the_module_is_shown():
    source = (ROOT / "pipeline" / "metrics.py").read_text(encoding="utf-8")
    literals = re.findall(r'"(touchline_[a-z0-9_]+)"', source)
    assert sorted(literals) == sorted(set(literals)), "a name stands there once"
    assert set(literals) == names()


def test_metrics_are_made_nowhere_else():
    others = [
        path.name
        for folder in ("pipeline", "jobs", "schemas")
        for path in (ROOT / folder).rglob("*.py")
        if "prometheus_client" in path.read_text(encoding="utf-8") and path.name != "metrics.py"
    ]
    assert others == []


def test_rules_ask_for_metrics_that_there_are():
    asked = {name for rule in rules() for name in NAME.findall(rule["expr"])}
    known = names() | {name + suffix for name in names() for suffix in SUFFIXES}
    assert asked - known == set()
    assert len(asked) > 8


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_rule_is_whole(rule):
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Touchline[A-Z][A-Za-z]+", rule["alert"])
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert rule["expr"].count("(") == rule["expr"].count(")")
    summary = rule["annotations"]["summary"]
    assert summary.endswith((".", "?"))
    for label in re.findall(r"\$labels\.(\w+)", summary):
        grouped = re.search(r"by \(([^)]*)\)", rule["expr"])
        kept = re.split(r",\s*", grouped[1]) if grouped else ["instance"]
        assert label in kept


def test_every_alarm_is_explained():
    table = TEXT[TEXT.index("## Alarms") : TEXT.index("## Metrics")]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(ALARMS)


def test_settings_commands_and_rules_that_are_named_exist():
    known = {f"TOUCHLINE_{name.upper()}" for name in Settings.model_fields}
    known |= {f"TOUCHLINE_{name.upper()}_FILE" for name in secrets()}
    assert set(re.findall(r"TOUCHLINE_[A-Z_]+[A-Z]", TEXT)) - known == set()
    commands = set(re.findall(r"(?:^|`)touchline (\w+)", TEXT, re.MULTILINE))
    assert len(commands) > 4
    assert commands - set(COMMANDS) == set()
    fired = set(re.findall(r"`(Touchline[A-Z]\w+)`", TEXT))
    assert fired - {rule["alert"] for rule in rules()} == set()
