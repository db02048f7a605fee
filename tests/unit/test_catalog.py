import re

import pytest

from pipeline import catalog
from pipeline.errors import CatalogError
from tests.unit.catalogs import SMALL


def problems(tmp_path, text):
    path = tmp_path / "catalog.toml"
    path.write_text(text)
    with pytest.raises(CatalogError) as caught:
        catalog.load(path)
    return text.splitlines(), caught.value.problems


def test_a_good_catalog_loads_and_its_version_names_the_content(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(SMALL)
    loaded = catalog.load(path)
    assert re.fullmatch(r"1\.0\+[0-9a-f]{12}", loaded.version)
    assert loaded.channels == {"web", "store", "mail"}
    path.write_text("# only a comment\n" + SMALL)
    assert catalog.load(path).version == loaded.version
    path.write_text(SMALL.replace("importance = 3", "importance = 4"))
    assert catalog.load(path).version != loaded.version


@pytest.mark.parametrize(
    ("old", "new", "at", "message", "fix"),
    [
        ('owner = "Stores"', 'ownr = "Stores"', "ownr", "unknown key", "owner"),
        ('stage = "loyalty"', 'stage = "loyalti"', "stage = ", "not one of the stages", "loyalty"),
        ('needs = ["learn"]', 'needs = ["lern"]', "needs", "not one of the needs", "learn"),
        ('fact = "purchase"', 'fact = "bought"', "fact", "not one of the facts", "[[facts]]"),
        ('["point_of_sale"]', '["pos"]', "touchpoints = ", "not one of the touchpoints", ""),
        ('gap = "14d"', 'gap = "two weeks"', "gap", "a whole number and a unit", ""),
        ("weight = 0.4", "weight = 0.5", "weight", "the weights sum to 1.1", "make it 1"),
        ("weight = 0.4", "weight = 2.0", "weight", "less than or equal to 1", ""),
        ('id = "mail"', 'id = "web"', "id", "'web' is there twice", "rename"),
        ('id = "product_page"', 'id = "unclassified"', "id", "reserved", "rename"),
        ('"details.page_type"', '"detail.page_type"', "where", "should match pattern", ""),
        ('"product"\n', "{ eqal = 3 }\n", "where", "unknown key", ""),
        ('"product"\n', "{}\n", "where", "needs one of", ""),
        ('kind = "human"', 'kind = "digital"', "kind", "'communication', 'human'", ""),
    ],
)
def test_a_bad_catalog_names_line_field_and_fix(tmp_path, old, new, at, message, fix):
    assert old in SMALL
    lines, found = problems(tmp_path, SMALL.replace(old, new, 1))
    matching = [item for item in found if message in item.message]
    assert matching, [str(item) for item in found]
    assert at in lines[matching[0].line - 1]
    assert fix in matching[0].fix


def test_a_missing_key_points_at_its_table(tmp_path):
    lines, found = problems(tmp_path, SMALL.replace('owner = "Stores"\n', ""))
    assert [(item.where, item.message) for item in found] == [("touchpoints.1.owner", "missing")]
    assert lines[found[0].line - 1] == "[[touchpoints]]"


def test_every_problem_is_reported_at_once(tmp_path):
    text = SMALL.replace('owner = "Stores"\n', "").replace('gap = "14d"', "gap = 3")
    assert len(problems(tmp_path, text)[1]) == 2


def test_broken_toml_names_the_line(tmp_path):
    _, found = problems(tmp_path, SMALL.replace('name = "Small shop"', "name = Small shop"))
    assert found[0].line == 2


EXTRA = """
[[touchpoints]]
id = "late"
name = "Late"
kind = "human"
contact = "human"
needs = ["learn"]
stage = "consideration"
owner = "x"
outcome = "x"
process = "x"
importance = 1

[[touchpoints.match]]
"""


@pytest.mark.parametrize(
    "rule",
    [
        'channel = "store"\naction = "buy"',
        'channel = ["web", "store"]\naction = "purchase"\nwhere."details.x" = { exists = true }',
        'channel = "web"\naction = "page_view"\nwhere."details.page_type" = ["product"]',
        'channel = "web"\naction = "page_view"\n'
        'where = { "details.page_type" = "product", segment = "vip" }',
    ],
)
def test_a_rule_that_can_never_match_is_found(tmp_path, rule):
    lines, found = problems(tmp_path, SMALL + EXTRA + rule)
    assert "can never match" in found[0].message
    assert lines[found[0].line - 1] == "[[touchpoints.match]]"
    assert found[0].line > len(SMALL.splitlines())


@pytest.mark.parametrize(
    "rule",
    [
        'channel = ["store", "mail"]\naction = "buy"',
        'channel = "store"',
        'channel = "web"\naction = "page_view"\nwhere."details.page_type" = ["product", "home"]',
        'channel = "web"\naction = "page_view"\nwhere."details.page_type" = { prefix = "prod" }',
    ],
)
def test_a_rule_that_can_match_something_is_not_called_shadowed(tmp_path, rule):
    path = tmp_path / "catalog.toml"
    path.write_text(SMALL + EXTRA + rule)
    assert catalog.load(path).catalog.touchpoints[-1].id == "late"


def test_two_rules_together_can_shadow_a_third(tmp_path):
    first = EXTRA + 'channel = "mail"\naction = "letter"\nwhere.segment = "vip"\n'
    second = EXTRA.replace("late", "later") + (
        'channel = "mail"\naction = "letter"\nwhere.segment = "new"\n'
    )
    third = EXTRA.replace("late", "latest") + (
        'channel = "mail"\naction = "letter"\nwhere.segment = ["new", "vip"]\n'
    )
    _, found = problems(tmp_path, SMALL + first + second + third)
    assert len(found) == 1
    assert "late, later" in found[0].message or "later, late" in found[0].message
