import re
from pathlib import Path

import pytest

from pipeline import catalog
from pipeline.errors import CatalogError
from tests.unit.catalogs import SMALL

ROOT = Path(__file__).resolve().parents[2]


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
        (
            '"details.page_type"',
            '"detail.page_type"',
            "where",
            "not a field",
            "'details.page_type'",
        ),
        ('"details.page_type"', '"segmnt"', "where", "not a field", "did you mean 'segment'?"),
        ('"details.page_type"', '"x"', "where", "not a field", "use one of direction, segment"),
        ('"details.page_type"', "details.page_type", "where", "not a field", "in quotes"),
        ('id = "mail"', 'id = "Mail"', "id", "not a usable name", "lower case letters, digits"),
        ('id = "mail"', 'id = "rejected"', "id", "'rejected' is reserved", "rename it"),
        ('version = "1.0"', 'version = "1 0"', "version", "not a usable version", "letters"),
        ('"product"\n', "{ min = 5, max = 2 }\n", "where", "at least 5 and at most 2", ""),
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
    assert [(item.where, item.message) for item in found] == [
        ("touchpoints.point_of_sale.owner", "missing")
    ]
    assert lines[found[0].line - 1] == "[[touchpoints]]"


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

RULES = """match = [
    { channel = "web", action = "page_view", where = { "details.page_type" = "home" } },
    { channel = ["web", "mial"], action = [
        "view",
    ] },
    { channel = "web", acton = "click" },
]
"""


@pytest.mark.parametrize(
    ("rules", "line", "where"),
    [
        (RULES.replace("acton", "action"), 3, "match.2.channel.2"),
        (RULES.replace("mial", "mail"), 6, "match.3.acton"),
        (
            RULES.replace("mial", "mail").replace(", acton", ", where = { x = 1 }, action"),
            6,
            "match.3.where.x",
        ),
        (
            RULES.replace("mial", "mail").replace('"web", acton = "click"', '"mial"'),
            6,
            "match.3.channel",
        ),
    ],
)
def test_a_rule_of_an_inline_array_is_found(tmp_path, rules, line, where):
    text = SMALL + EXTRA.replace("[[touchpoints.match]]\n", "")
    _, found = problems(tmp_path, text + rules)
    assert [item.where for item in found] == [f"touchpoints.late.{where}"]
    assert found[0].line == text.count("\n") + line


def test_an_entry_without_an_id_is_numbered_from_one(tmp_path):
    _, found = problems(tmp_path, SMALL.replace('id = "point_of_sale"\n', ""))
    assert [item.where for item in found] == ["touchpoints.2.id"]


def test_a_value_of_no_allowed_type_is_one_problem(tmp_path):
    _, found = problems(tmp_path, SMALL.replace('"product"\n', "[1979-05-27]\n"))
    assert len(found) == 1
    assert "valid string; or " in found[0].message


SEGMENTS = """
[[segments]]
id = "vip"
name = "VIP"
"""


@pytest.mark.parametrize("condition", ['"vpi"', '["vip", "vpi"]', '{ one_of = ["vpi"] }'])
def test_a_rule_on_a_segment_that_is_not_declared_is_found(tmp_path, condition):
    rule = EXTRA + f'channel = "mail"\nwhere.segment = {condition}\n'
    lines, found = problems(tmp_path, SMALL + SEGMENTS + rule)
    assert [(item.where, item.message, item.fix) for item in found] == [
        (
            "touchpoints.late.match.1.where.segment",
            "'vpi' is not one of the segments",
            "did you mean 'vip'?",
        )
    ]
    assert "where.segment" in lines[found[0].line - 1]


def test_a_rule_can_ask_for_any_segment_where_none_is_declared(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(SMALL + EXTRA + 'channel = "mail"\nwhere.segment = "vpi"\n')
    assert not catalog.load(path).catalog.segments


def test_a_byte_order_mark_is_accepted(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(SMALL, encoding="utf-8-sig")
    assert catalog.load(path).catalog.name == "Small shop"


def test_the_example_of_the_documentation_is_a_good_catalog(tmp_path):
    text = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    path = tmp_path / "catalog.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    loaded = catalog.load(path)
    assert len(loaded.catalog.touchpoints) > 1
    assert loaded.catalog.segments
    assert loaded.catalog.facts


def test_every_problem_is_reported_at_once(tmp_path):
    text = SMALL.replace('owner = "Stores"\n', "").replace('gap = "14d"', "gap = 3")
    assert len(problems(tmp_path, text)[1]) == 2


def test_broken_toml_names_the_line(tmp_path):
    _, found = problems(tmp_path, SMALL.replace('name = "Small shop"', "name = Small shop"))
    assert found[0].line == 2


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
