"""What is wrong with a route or a destination is said with its line, its place and a fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import catalog
from tests.unit.test_rule_checks import BASE, one

ROUTES = """
[[destinations]]
id = "team"
type = "stdout"

[[destinations]]
id = "hook"
type = "webhook"
url = "https://example.com/hook"
secret_from = "env:HOOK_SECRET"

[[routes]]
id = "bad"
rule = "late"
owner = ["Stores"]
touchpoint = ["product_page", "unclassified"]
channel = "web"
segment = "vip"
to = ["team"]
hours = "office"
link = "https://example.com/{alert_id}"
escalate = { after = "30m", to = "hook" }

[[routes]]
id = "good"
kind = "glory"
to = "hook"
cooldown = "1d"
cooldown_by = "rule"
"""


def test_the_base_of_these_tests_is_right(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(BASE + ROUTES)
    assert [route.id for route in catalog.load(path).catalog.routes] == ["bad", "good"]


@pytest.mark.parametrize(
    ("old", "new", "line", "where", "message", "fix"),
    [
        ('id = "hook"',
         'id = "hook"\ntype = "stdout"\n\n[[destinations]]\nid = "hook"',
         'id = "hook"', "destinations.hook.id", "'hook' is there twice", "rename one"),
        ('id = "good"', 'id = "bad"', 'id = "bad"',
         "routes.bad.id", "'bad' is there twice", "rename one"),
        ('rule = "late"', 'rule = ["late", "lat"]', 'rule = ["late", "lat"]',
         "routes.bad.rule.2", "'lat' is not one of the rules", "'late'"),
        ('rule = "late"', 'rule = "bought"', 'rule = "bought"',
         "routes.bad.rule", "'bought' finds moments of glory, this route takes those of pain",
         'kind = "glory"'),
        ('owner = ["Stores"]', 'owner = ["Store"]', 'owner = ["Store"]',
         "routes.bad.owner.1", "'Store' is not one of the owners", "'Stores'"),
        ('owner = ["Stores"]', 'owner = ["Zzz"]', 'owner = ["Zzz"]',
         "routes.bad.owner.1", "not one of the owners", "that a rule or touchpoint has"),
        ('"unclassified"]', '"product"]', '"product"]',
         "routes.bad.touchpoint.2", "not one of the touchpoints", "'product_page'"),
        ('channel = "web"\nsegment', 'channel = "wb"\nsegment', 'channel = "wb"',
         "routes.bad.channel", "not one of the channels", "'web'"),
        ('segment = "vip"', 'segment = "vpi"', 'segment = "vpi"',
         "routes.bad.segment", "not one of the segments", "'vip'"),
        ('to = ["team"]', 'to = ["tem"]', 'to = ["tem"]',
         "routes.bad.to.1", "not one of the destinations", "'team'"),
        ('to = ["team"]', 'to = ["zzz"]', 'to = ["zzz"]',
         "routes.bad.to.1", "not one of the destinations", "[[destinations]]"),
        ('to = ["team"]', "to = []", "to = []", "routes.bad.to", "at least 1", ""),
        ('hours = "office"', 'hours = "ofice"', 'hours = "ofice"',
         "routes.bad.hours", "not one of the calendars", "'office'"),
        ('to = "hook" }', 'to = ["team", "hok"] }', "escalate = ",
         "routes.bad.escalate.to.2", "not one of the destinations", "'hook'"),
        ("{alert_id}", "{email}", "{email}", "routes.bad.link", "{email} is not known", "alert_id"),
        ('cooldown_by = "rule"', 'cooldown_by = "moment"', 'cooldown_by = "moment"',
         "routes.good.cooldown_by", "a moment never repeats", ""),
        ('cooldown = "1d"', 'cooldown = "1 day"', 'cooldown = "1 day"',
         "routes.good.cooldown", "a whole number and a unit", ""),
        ('cooldown = "1d"', 'coldown = "1d"', 'coldown = "1d"',
         "routes.good.coldown", "unknown key", "'cooldown'"),
        ('type = "webhook"', 'type = "webhok"', 'type = "webhok"',
         "destinations.hook.type", "'webhok'", "'webhook'"),
        ('url = "https://example.com/hook"', 'url = "https://me:pw@example.com/"',
         'url = "https://me:pw@', "destinations.hook.url", "no user or password", ""),
        ('url = "https://example.com/hook"\n', "", "[[destinations]]",
         "destinations.hook", "either url or url_from", ""),
        ('"env:HOOK_SECRET"', '"whsec_abc"', "secret_from",
         "destinations.hook.secret_from", "", ""),
    ],
)  # fmt: skip
def test_a_bad_route_names_line_place_and_fix(
    tmp_path: Path, old: str, new: str, line: str, where: str, message: str, fix: str
) -> None:
    assert (BASE + ROUTES).count(old) == 1
    found = one(tmp_path, (BASE + ROUTES).replace(old, new))
    assert line in found[0]
    assert found[1] == where
    assert message in found[2]
    assert fix in found[3]


def test_without_declared_segments_any_may_come(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    text = (BASE + ROUTES).replace('[[segments]]\nid = "vip"\nname = "VIP"\n', "")
    path.write_text(text)
    assert catalog.load(path).catalog.routes[0].segment == ["vip"]


def test_three_strikes_are_pain_and_have_an_owner(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    strikes = '\n[strikes]\nowner = "Head of service"\n'
    named = (
        '[[routes]]\nid = "strikes"\nto = "team"\n'
        'rule = "three_strikes"\nowner = "Head of service"\n'
    )
    path.write_text(BASE + ROUTES + named + strikes)
    assert len(catalog.load(path).catalog.routes) == 3
    found = one(tmp_path, BASE + ROUTES + named.replace("to =", 'kind = "glory"\nto =') + strikes)
    assert "'three_strikes' finds moments of pain" in found[2]
