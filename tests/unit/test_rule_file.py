"""Rules laid over a catalog: what replaces what, what depends on it, errors with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import catalog, rule_file
from pipeline.errors import CatalogError, Problem
from schemas.rules import STRIKES
from tests.unit.test_rule_checks import BASE

OVER = (
    BASE
    + """
[strikes]
threshold = 3

[[rules]]
id = "mended"
name = "Mended"
type = "sequence"
kind = "glory"
first = { moment = { kind = "pain", status = "resolved" } }
then = { touchpoint = "point_of_sale" }
within = "7d"
text = "{customer} came back."
source = "test"
"""
)
SEEN = """
[[rules]]
id = "bought"
name = "Bought, seen otherwise"
type = "single"
kind = "glory"
when = { touchpoint = "product_page" }
text = "{customer} looked."
source = "test"
"""
PAIN = SEEN.replace('kind = "glory"', 'kind = "pain"').replace('"bought"', '"looked"')


@pytest.fixture
def below(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.toml"
    path.write_text(OVER)
    return path


def load(below: Path, text: str) -> rule_file.Trial:
    path = below.with_name("rules.toml")
    path.write_text(text)
    return rule_file.load(path, below)


def problems(below: Path, text: str) -> list[Problem]:
    with pytest.raises(CatalogError) as caught:
        load(below, text)
    return caught.value.problems


def test_without_a_file_it_is_the_catalog_and_all_of_it(below: Path) -> None:
    trial = rule_file.load(None, below)
    assert trial.loaded == catalog.load(below)
    assert trial.scope == rule_file.Scope()
    assert trial.scope.has_rule("whatever")
    assert not trial.scope.follows("whatever")


def test_a_whole_catalog_stands_for_itself(below: Path) -> None:
    trial = load(below, BASE)
    assert trial.loaded.version == catalog.load(below.with_name("rules.toml")).version
    assert [rule.id for rule in trial.loaded.catalog.rules] == ["late", "bought"]
    assert trial.scope == rule_file.Scope()


def test_a_rule_replaces_the_one_of_its_id_where_that_stands(below: Path) -> None:
    trial = load(below, SEEN)
    known = catalog.load(below)
    assert [rule.id for rule in trial.loaded.catalog.rules] == ["late", "bought", "mended"]
    assert trial.loaded.catalog.rules[1].name == "Bought, seen otherwise"
    assert trial.loaded.catalog.rules[0] == known.catalog.rules[0]
    assert trial.loaded.catalog.strikes == known.catalog.strikes
    assert trial.loaded.version != known.version
    assert trial.loaded.path.endswith("rules.toml")
    # a glory, which neither strikes nor the rule over pains look at
    assert trial.scope == rule_file.Scope(frozenset({"bought"}), frozenset(), frozenset({"bought"}))


def test_the_same_again_is_the_same_catalog(below: Path) -> None:
    same = BASE[BASE.index('[[rules]]\nid = "bought"') :]
    assert load(below, same).loaded.version == catalog.load(below).version


def test_a_new_pain_is_added_and_what_looks_at_pains_follows(below: Path) -> None:
    trial = load(below, PAIN)
    assert [rule.id for rule in trial.loaded.catalog.rules][-1] == "looked"
    assert trial.scope.rules == {"looked", "mended", STRIKES}
    assert trial.scope.given == {"looked"}
    assert trial.scope.follows(STRIKES)
    assert not trial.scope.follows("looked")


def test_a_rule_that_was_of_pain_still_has_followers(below: Path) -> None:
    below.write_text(OVER + PAIN)
    glory = PAIN.replace('kind = "pain"', 'kind = "glory"')
    assert load(below, glory).scope.rules == {"looked", "mended", STRIKES}


@pytest.mark.parametrize("what", ["promise", "calendar"])
def test_rules_about_a_promise_follow_it_and_its_calendar(below: Path, what: str) -> None:
    start = BASE.index(f"[[{what}s]]")
    text = BASE[start : BASE.index("\n\n", start)].replace('"8h"', '"9h"').replace("17:00", "16:00")
    trial = load(below, text)
    assert trial.scope.promises == {"answer"}
    assert trial.scope.rules == {"late", "mended", STRIKES}
    assert trial.scope.given == set()


def test_strikes_and_trust_are_tables(below: Path) -> None:
    trial = load(below, "[strikes]\nthreshold = 2\n[trust]\nglories_per_pain = 3\n")
    assert trial.loaded.catalog.strikes is not None
    assert trial.loaded.catalog.strikes.threshold == 2
    assert trial.loaded.catalog.trust.glories_per_pain == 3
    assert trial.scope.rules == trial.scope.given == {STRIKES}


@pytest.mark.parametrize(
    "text, line, where, said",
    [
        ("", 0, "", "holds nothing to try"),
        ("[[rules]\n", 1, "", "not valid TOML"),
        ('version = "2"\n' + SEEN, 1, "version", "unknown key"),
        (SEEN.replace("product_page", "product_pag"), 7, "rules.bought.when.touchpoint", "did you"),
        (SEEN + SEEN, 12, "rules.bought.id", "'bought' is there twice"),
        (SEEN.replace("{customer}", "{subject}"), 8, "rules.bought.text", "{subject} is empty"),
        (SEEN.replace('"bought"', f'"{STRIKES}"'), 3, f"rules.{STRIKES}.id", "is reserved"),
        ("[strikes]\nthreshold = 0\n", 2, "strikes.threshold", "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    below: Path, text: str, line: int, where: str, said: str
) -> None:
    (problem,) = problems(below, text)
    assert (Path(problem.path).name, problem.line, problem.where) == ("rules.toml", line, where)
    assert said in str(problem)


def test_what_a_rule_breaks_in_the_catalog_is_said_there(below: Path) -> None:
    text = OVER.replace('kind = "pain", status = "resolved"', 'rule = "bought"')
    below.write_text(text)
    over = SEEN.replace('touchpoint = "product_page"', 'moment = { rule = "late" }')
    (problem,) = problems(below, over)
    line = text[: text.index('rule = "bought"')].count("\n") + 1
    assert (Path(problem.path).name, problem.line) == ("catalog.toml", line)
    assert problem.where == "rules.mended.first.moment.rule"
    assert "found from moments itself" in problem.message


def test_a_catalog_below_that_is_wrong_is_said_first(below: Path) -> None:
    below.write_text(OVER.replace('promise = "answer"', 'promise = "anser"'))
    (problem,) = problems(below, SEEN)
    assert Path(problem.path).name == "catalog.toml"
    assert "did you mean 'answer'?" in problem.fix


def test_a_file_that_is_not_there_is_named(below: Path) -> None:
    with pytest.raises(CatalogError, match=r"nowhere\.toml: No such file"):
        rule_file.load(below.with_name("nowhere.toml"), below)
