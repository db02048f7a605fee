from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import catalog
from pipeline.classify import NOTHING, Classifier, matches, stage_of
from schemas.entry import Condition
from tests.unit.catalogs import SMALL
from tests.unit.events import event, events


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    path = tmp_path_factory.mktemp("catalog") / "small.toml"
    path.write_text(SMALL)
    return catalog.load(path)


def slow_classify(loaded, made):
    """The rule as the catalog's documentation has it, without any index."""
    for touchpoint in loaded.catalog.touchpoints:
        for match in touchpoint.match:
            if made["channel"] not in match.channel:
                continue
            if match.action is not None and made["action"] not in match.action:
                continue
            fields = {}
            for path in match.where:
                value = made
                for part in path.split("."):
                    value = (value or {}).get(part)
                fields[path] = value
            if all(matches(wanted, fields[path]) for path, wanted in match.where.items()):
                return touchpoint.id
    return "unclassified"


def test_first_matching_rule_decides(loaded):
    classifier = Classifier(loaded.catalog)
    found = classifier.classify(event())
    assert (found.touchpoint, found.need, found.stage) == (
        "product_page",
        "learn",
        "consideration",
    )
    assert classifier.classify(event(details={"page_type": "home"})) is NOTHING
    assert classifier.classify(event(details=None)) is NOTHING
    assert classifier.classify(event(action="buy")).facts == ("purchase",)


def test_the_default_catalog_agrees_with_its_rules_read_one_by_one():
    loaded = catalog.load()
    classifier = Classifier(loaded.catalog)
    for touchpoint in loaded.catalog.touchpoints:
        for match in touchpoint.match:
            for channel in match.channel:
                for action in match.action or ["anything"]:
                    made = event(channel=channel, action=action, details={})
                    assert classifier.classify(made).touchpoint == slow_classify(loaded, made)


@given(events, st.sampled_from(["page_view", "buy", "purchase", "x"]))
def test_the_index_changes_nothing(loaded, made, action):
    made = {**made, "action": action}
    assert Classifier(loaded.catalog).classify(made).touchpoint == slow_classify(loaded, made)


@pytest.mark.parametrize(
    ("wanted", "value", "holds"),
    [
        ({"one_of": [1]}, True, False),
        ({"one_of": [True]}, 1, False),
        ({"one_of": [1]}, 1.0, True),
        ({"one_of": ["a"]}, ["a"], False),
        ({"exists": True}, None, False),
        ({"exists": False}, None, True),
        ({"min": 2.0}, 2, True),
        ({"min": 2.0}, True, False),
        ({"min": 2.0}, "3", False),
        ({"max": 2.0}, 2.5, False),
        ({"min": 1.0, "max": 2.0}, 1.5, True),
        ({"prefix": "ab"}, "abc", True),
        ({"prefix": "ab"}, 5, False),
    ],
)
def test_conditions(wanted, value, holds):
    assert matches(Condition.model_validate(wanted), value) is holds


def test_stage_follows_event_time_with_the_id_as_tie_break(loaded):
    page = Classifier(loaded.catalog).classify(event())
    at = datetime(2026, 10, 1, tzinfo=timezone.utc)
    before, same, after = at - timedelta(seconds=1), at, at + timedelta(seconds=1)
    assert stage_of(page, (at, "m"), {}) == "consideration"
    assert stage_of(page, (at, "m"), {"purchase": [(before, "z")]}) == "loyalty"
    assert stage_of(page, (at, "m"), {"purchase": [(same, "a")]}) == "loyalty"
    assert stage_of(page, (at, "m"), {"purchase": [(same, "z")]}) == "consideration"
    assert stage_of(page, (at, "m"), {"purchase": [(after, "a")]}) == "consideration"
