"""What is wrong with a rule is said with its line, its place and a fix; what is right passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import catalog
from pipeline.errors import CatalogError, Problem
from tests.unit.catalogs import SMALL

BASE = (
    SMALL
    + """
[[segments]]
id = "vip"
name = "VIP"

[[calendars]]
id = "office"
zone = "Europe/Amsterdam"
hours = { mon = ["09:00-17:00"] }

[[promises]]
id = "answer"
name = "Answer"
per = "case"
case = "ticket_id"
made = { touchpoint = "product_page" }
kept = { touchpoint = "point_of_sale" }
term = "8h"
calendar = "office"

[[rules]]
id = "late"
name = "Late"
type = "absence"
kind = "pain"
promise = "answer"
text = "{customer} waits for {subject} since {cause_at}, due {due_at}."
source = "test"

[[rules]]
id = "bought"
name = "Bought"
type = "single"
kind = "glory"
text = "{customer} bought {details.product_id}."
source = "test"

[rules.when]
touchpoint = "point_of_sale"
channel = "web"
action = ["buy", "purchase"]
"""
)
RULE = """
[[rules]]
id = "mine"
name = "Mine"
type = "single"
kind = "pain"
text = "x"
source = "test"
when = { touchpoint = "product_page" }
"""


def problems(tmp_path: Path, text: str) -> tuple[list[str], list[Problem]]:
    path = tmp_path / "catalog.toml"
    path.write_text(text)
    with pytest.raises(CatalogError) as caught:
        catalog.load(path)
    return text.splitlines(), caught.value.problems


def one(tmp_path: Path, text: str) -> tuple[str, str, str, str]:
    """Return line, place, message and fix of the only problem with a catalog."""
    lines, found = problems(tmp_path, text)
    assert len(found) == 1, [str(item) for item in found]
    return lines[found[0].line - 1], found[0].where, found[0].message, found[0].fix


def test_the_base_of_these_tests_is_right(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(BASE + RULE)
    assert [rule.id for rule in catalog.load(path).catalog.rules] == ["late", "bought", "mine"]


@pytest.mark.parametrize(
    ("old", "new", "line", "where", "message", "fix"),
    [
        # shape of a rule: the place is the author's, not the model's
        ('type = "single"\nkind = "g', 'type = "singel"\nkind = "g',
         'type = "singel"', "rules.bought.type", "'singel' is not one of", "'single'"),
        ('type = "single"\nkind = "g', 'kind = "g',
         "[[rules]]", "rules.bought.type", "missing", "add type = …"),
        ('touchpoint = "point_of_sale"\nch', 'tuchpoint = "point_of_sale"\nch',
         'tuchpoint = "point_of_sale"',
         "rules.bought.when.tuchpoint", "unknown key", "'touchpoint'"),
        ('kind = "glory"\n', 'kind = "glory"\nwithin = "3d"\n',
         'within = "3d"', "rules.bought.within", "unknown key", "known here: case, id, kind"),
        ('kind = "glory"\n', 'kind = "glory"\nsevrity = "low"\n',
         'sevrity = "low"', "rules.bought.sevrity", "unknown key", "'severity'"),
        ('kind = "glory"\n', "",
         "[[rules]]", "rules.bought.kind", "missing", "add kind = …"),
        ('kind = "glory"\n', 'kind = "joy"\n',
         'kind = "joy"', "rules.bought.kind", "'pain' or 'glory'", ""),
        ('kind = "glory"\n', 'kind = "glory"\nopen_for = "3"\n',
         'open_for = "3"', "rules.bought.open_for", "a whole number and a unit", ""),
        ('promise = "answer"\n', 'promise = "answer"\nwithin = "3d"\n',
         "[[rules]]", "rules.late", "with promise: no after", ""),
        ('promise = "answer"\n', 'after = { action = "buy" }\nuntil = { action = "buy" }\n',
         "[[rules]]", "rules.late", "needs after, until and within; or promise", ""),
        ('kind = "glory"\n', 'kind = "glory"\nresolved_by = { action = "buy" }\n',
         "[[rules]]", "rules.bought", "nothing to resolve in a glory", ""),
        ('per = "case"\n', "", "[[promises]]", "promises.answer", "belong together", ""),
        ('mon = ["09:00-17:00"]', 'mon = ["9-17"]',
         'hours = { mon = ["9-17"] }', "calendars.office.hours", "must look like", ""),
        ('zone = "Europe/Amsterdam"', 'zone = "Amsterdam"',
         'zone = "Amsterdam"', "calendars.office.zone", "not a time zone", ""),
        # texts
        ("{details.product_id}", "{product}",
         "{product}", "rules.bought.text", "{product} is not known", "one of customer, touchpoint"),
        ("{details.product_id}", "{identifiers.email}",
         "{identifiers.email}", "rules.bought.text", "is not known", "never shown"),
        ("{details.product_id}", "{oops",
         "{oops", "rules.bought.text", "a brace without its partner", ""),
        ("{details.product_id}", "by {due_at}",
         "{due_at}", "rules.bought.text", "nothing is due in a rule of type single", "leave out"),
        ("{details.product_id}", "{subject}",
         "{subject}", "rules.bought.text", "{subject} is empty", "set per"),
        # names
        ('id = "bought"', 'id = "late"',
         'id = "late"', "rules.late.id", "'late' is there twice", "rename one"),
        ('id = "bought"', 'id = "three_strikes"',
         'id = "three_strikes"', "rules.three_strikes.id", "is reserved", "[strikes]"),
        # references
        ('touchpoint = "point_of_sale"\nch', 'touchpoint = "point_of_sail"\nch',
         'touchpoint = "point_of_sail"', "rules.bought.when.touchpoint",
         "not one of the touchpoints", "'point_of_sale'"),
        ('channel = "web"\naction = ["buy', 'channel = ["web", "wb"]\naction = ["buy',
         'channel = ["web", "wb"]',
         "rules.bought.when.channel.2", "not one of the channels", "'web'"),
        ('action = ["buy", "purchase"]', 'need = "lern"', 'need = "lern"',
         "rules.bought.when.need", "not one of the needs", "'learn'"),
        ('action = ["buy", "purchase"]', 'stage = "loyal"', 'stage = "loyal"',
         "rules.bought.when.stage", "not one of the stages", "'loyalty'"),
        ('action = ["buy", "purchase"]', 'segment = "vpi"', 'segment = "vpi"',
         "rules.bought.when.segment", "not one of the segments", "'vip'"),
        ('action = ["buy", "purchase"]', 'where.segment = ["vip", "x"]',
         'where.segment = ["vip", "x"]', "rules.bought.when.where.segment",
         "'x' is not one of the segments", "[[segments]]"),
        ('action = ["buy", "purchase"]', 'customer = { fact = "purchas" }',
         'customer = { fact = "purchas" }', "rules.bought.when.customer.fact",
         "not one of the facts", "'purchase'"),
        ('calendar = "office"', 'calendar = "ofice"',
         'calendar = "ofice"', "promises.answer.calendar", "not one of the calendars", "'office'"),
        ('promise = "answer"', 'promise = "anser"',
         'promise = "anser"', "rules.late.promise", "not one of the promises", "'answer'"),
        ('made = { touchpoint = "product_page" }', 'made = [{ touchpoint = "product_pag" }]',
         'made = [{ touchpoint = "product_pag" }]', "promises.answer.made.1.touchpoint",
         "not one of the touchpoints", "'product_page'"),
        # patterns that nothing fits
        ('channel = "web"\naction = ["buy', 'channel = "mail"\naction = ["buy',
         "[rules.when]",
         "rules.bought.when", "can never match", "compare with the rules under match"),
        ('action = ["buy", "purchase"]', 'action = "by"', "[rules.when]",
         "rules.bought.when", "can never match", "'buy'"),
        ('action = ["buy", "purchase"]', 'action = ["buy", "sell"]',
         'action = ["buy", "sell"]', "rules.bought.when.action.2",
         "'sell' can never match here", "compare with"),
        ('made = { touchpoint = "product_page" }', 'made = { action = "puchase" }',
         'made = { action = "puchase" }', "promises.answer.made", "can never match", "'purchase'"),
        ('made = { touchpoint = "product_page" }', 'made = { action = "xyz" }',
         'made = { action = "xyz" }', "promises.answer.made", "can never match",
         'touchpoint = "unclassified"'),
        ('made = { touchpoint = "product_page" }',
         'made = { touchpoint = "product_page", where = { "details.page_type" = "home" } }',
         "made = ", "promises.answer.made", "can never match", "compare with"),
        ('made = { touchpoint = "product_page" }',
         'made = { touchpoint = "product_page", where."details.page_type".exists = false }',
         "made = ", "promises.answer.made", "can never match", "compare with"),
        ('made = { touchpoint = "product_page" }',
         'made = { touchpoint = "point_of_sale", stage = "loyalty" }',
         "made = ", "promises.answer.made", "can never match", "compare with"),
        ('made = { touchpoint = "product_page" }',
         'made = { moment = { kind = "pain" } }',
         "made = ", "promises.answer.made.moment", "not at moments", "interactions"),
        ('made = { touchpoint = "product_page" }', "made = {}",
         "made = {}", "promises.answer.made", "says nothing", ""),
        ('made = { touchpoint = "product_page" }',
         'made = { where = { "identifiers.email" = "x" } }',
         "made = ", "promises.answer.made", "hashed at rest", ""),
    ],
)  # fmt: skip
def test_a_bad_rule_names_line_place_and_fix(
    tmp_path: Path, old: str, new: str, line: str, where: str, message: str, fix: str
) -> None:
    assert BASE.count(old) == 1
    found = one(tmp_path, BASE.replace(old, new))
    assert line in found[0]
    assert found[1] == where
    assert message in found[2]
    assert fix in found[3]


OVER = """
[[rules]]
id = "over"
name = "Over"
type = "single"
kind = "pain"
text = "x"
source = "test"
when = { moment = { rule = "late" } }
"""


@pytest.mark.parametrize(
    ("wanted", "where", "message", "fix"),
    [
        ('{ rule = "lat" }', ".rule", "'lat' is not one of the rules", "'late'"),
        ('{ rule = ["late", "mine"] }', ".rule.2", "'mine' is found from moments itself", "name"),
        ('{ rule = "three_strikes" }', ".rule", "is found from moments itself", "name rules"),
        ('{ rule = "bought", status = "resolved" }', ".rule", "never finds resolved moments", ""),
        ('{ rule = "bought", kind = "pain" }', ".rule", "never finds pain moments", "remove it"),
        ('{ kind = "glory", status = "resolved" }', "", "can never match", "no rule finds such"),
    ],
)
def test_a_rule_over_moments_names_moments_that_there_are(
    tmp_path: Path, wanted: str, where: str, message: str, fix: str
) -> None:
    rule = RULE.replace('{ touchpoint = "product_page" }', f"{{ moment = {wanted} }}")
    found = one(tmp_path, BASE + OVER + rule)
    assert found[0].startswith("when = ")
    assert found[1] == f"rules.mine.when.moment{where}"
    assert message in found[2]
    assert fix in found[3]


def test_a_rule_over_moments_is_per_customer(tmp_path: Path) -> None:
    found = one(tmp_path, BASE + OVER + 'per = "need"\n')
    assert found[1:] == (
        "rules.over.when.moment",
        "a rule over moments cannot be per need",
        'leave out "per"',
    )


def test_moments_that_resolve_count_as_moments(tmp_path: Path) -> None:
    rule = RULE.replace('{ touchpoint = "product_page" }', '{ moment = { kind = "pain" } }')
    found = one(tmp_path, BASE + OVER + 'resolved_by = { moment = { rule = "mine" } }\n' + rule)
    assert found[1] == "rules.over.resolved_by.moment.rule"


COUNT = RULE.replace('"single"', '"count"') + 'count = 3\nwithin = "1h"\n'


def test_the_key_of_a_rule_may_be_called_like_its_type(tmp_path: Path) -> None:
    found = one(tmp_path, BASE + COUNT.replace("count = 3", "count = 1"))
    assert found[:2] == ("count = 1", "rules.mine.count")
    assert "greater than or equal to 2" in found[2]


@pytest.mark.parametrize("field", ["identifiers.email", "details.form_id"])
def test_same_cannot_be_an_identifier(tmp_path: Path, field: str) -> None:
    text = BASE + COUNT + f'same = "{field}"\n'
    if field.startswith("details"):
        path = tmp_path / "catalog.toml"
        path.write_text(text.replace('text = "x"', 'text = "{subject}"'))
        assert catalog.load(path)
        return
    found = one(tmp_path, text)
    assert found[0] == 'same = "identifiers.email"'
    assert "hashed at rest" in found[2]


@pytest.mark.parametrize(
    ("channels", "is_right"), [(("web", "web"), False), (("web", "store"), True)]
)
def test_a_change_needs_two_channels(
    tmp_path: Path, channels: tuple[str, str], is_right: bool
) -> None:
    change = (
        RULE.replace('"single"', '"change"').replace(
            'when = { touchpoint = "product_page" }',
            f'when = {{ channel = "{channels[0]}" }}\nthen = {{ channel = "{channels[1]}" }}',
        )
        + 'within = "1h"\nper = "need"\n'
    )
    if is_right:
        path = tmp_path / "catalog.toml"
        path.write_text(BASE + change)
        assert catalog.load(path)
        return
    found = one(tmp_path, BASE + change)
    assert found[0] == "[[rules]]"
    assert found[1:3] == ("rules.mine", "can never match: all on one channel")


SHADOWED = """
[[touchpoints]]
id = "rest"
name = "The rest"
kind = "human"
contact = "human"
needs = ["learn"]
stage = "consideration"
owner = "x"
outcome = "x"
process = "x"
importance = 1
match = [{ channel = "web", action = ["page_view", "click"] }]
"""


@pytest.mark.parametrize(
    ("pattern", "is_right"),
    [
        ('touchpoint = "rest", where = { "details.page_type" = "home" }', True),
        ('touchpoint = "rest", where = { "details.page_type" = "product" }', True),  # a click
        (
            'touchpoint = "rest", action = "page_view", '
            'where = { "details.page_type" = "product" }',
            False,
        ),
        ('touchpoint = "unclassified", action = "anything"', True),
        ('channel = "mail"', True),
        ('where = { "details.x" = 1 }', True),
        ('need = "learn"', True),
        ('stage = "loyalty"', True),
        ('stage = "unclassified"', True),
    ],
)
def test_what_earlier_touchpoints_take_a_pattern_cannot_find(
    tmp_path: Path, pattern: str, is_right: bool
) -> None:
    rule = RULE.replace('touchpoint = "product_page"', pattern)
    if is_right:
        path = tmp_path / "catalog.toml"
        path.write_text(BASE + SHADOWED + rule)
        assert catalog.load(path)
        return
    found = one(tmp_path, BASE + SHADOWED + rule)
    assert found[1:3] == ("rules.mine.when", "can never match")
    assert "earlier ones come first" in found[3]


def test_every_problem_of_several_rules_is_reported(tmp_path: Path) -> None:
    text = BASE.replace('promise = "answer"', 'promise = "anser"') + COUNT.replace(
        "product_page", "page"
    )
    _, found = problems(tmp_path, text)
    assert [item.where for item in found] == ["rules.late.promise", "rules.mine.when.touchpoint"]
