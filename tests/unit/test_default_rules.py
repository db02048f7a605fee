"""Every rule of the default catalog finds what it is for, and is silent where it must be.

The stories are in tests/stories, a file for each part of the catalog.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import catalog
from pipeline.catalog import LoadedCatalog
from pipeline.toml_lines import parse_text
from schemas.catalog import UNCLASSIFIED
from schemas.rules import STRIKES, patterns_of
from tests.story import Reader, Story, shown, told

ROOT = Path(__file__).resolve().parents[2]
STORIES = told()
#: DESIGN.md, section 6; three strikes are not among a catalog's rules.
PAINS = {
    "message_unanswered", "question_unanswered", "phone_menu_lost", "call_abandoned", "long_queue",
    "repeated_need", "repeated_after_switch", "checkout_abandoned", "cart_abandoned",
    "payment_failing", "form_rejected_repeatedly", "ticket_open_for_days", "ticket_reopened",
    "complaint_unanswered", "complaint_repeated", "low_nps", "low_csat", "low_ces", "low_review",
    "negative_sentiment", "delivery_late", "delivery_failed_or_wrong", "delivery_returned",
    "invoice_disputed", "too_many_messages", "unsubscribed_after_many", "spam_reported",
    "important_message_bounced", "out_of_stock", "site_error_repeated", "long_store_wait",
    "cancellation_not_completed", "refund_not_completed",
}  # fmt: skip
GLORIES = {
    "answered_early", "first_contact_resolved", "high_rating", "review_praised", "referral_made",
    "repeat_purchase", "recovered", "delivery_on_time", "thanked",
}  # fmt: skip


@pytest.fixture(scope="module")
def shipped() -> LoadedCatalog:
    return catalog.load()


@pytest.fixture(scope="module")
def reader(shipped: LoadedCatalog) -> Reader:
    return Reader(shipped)


def _name(story: Story) -> str:
    return f"{story.rule}: {story.why}"


@pytest.mark.parametrize("story", STORIES, ids=_name)
def test_a_story_holds_the_moments_it_says(reader: Reader, story: Story) -> None:
    moments, promises = reader.read(story)
    found = [row for row in moments if row.rule == story.rule]
    assert story.found == tuple(
        " ".join(
            [row.status, shown(row.occurred_at), *([shown(row.closed_at)] if row.closed_at else [])]
        )
        for row in found
    )
    if story.promises is not None:
        assert story.promises == tuple(
            f"{row.promise} {row.status} {shown(row.due_at)}" for row in promises
        )
    if story.text:
        assert story.text == found[0].text


@pytest.mark.parametrize("story", STORIES, ids=_name)
def test_a_story_is_told_in_the_words_of_the_catalog(reader: Reader, story: Story) -> None:
    for decoded, classification in reader.classified(story):
        details = decoded.event.get("details", {})
        by_machine = details.get("machine_open") is True
        assert (classification.touchpoint == UNCLASSIFIED) is by_machine, decoded.event


def test_every_rule_has_a_story_and_a_near_miss(shipped: LoadedCatalog) -> None:
    rules = {rule.id for rule in shipped.catalog.rules} | {STRIKES}
    assert {story.rule for story in STORIES if story.found} == rules
    assert {story.rule for story in STORIES if not story.found} == rules


def test_every_text_can_be_filled_in(reader: Reader) -> None:
    """A field that the causing event of no story has is probably misspelt."""
    texts: dict[str, list[str]] = {}
    for story in STORIES:
        for row in reader.read(story)[0]:
            texts.setdefault(row.rule, []).append(row.text)
    for rule, filled in texts.items():
        assert any("unknown" not in text for text in filled), rule


def test_the_list_of_the_design_is_there(shipped: LoadedCatalog) -> None:
    kinds = {rule.id: rule.kind for rule in shipped.catalog.rules}
    assert {name for name, kind in kinds.items() if kind == "pain"} == PAINS
    assert {name for name, kind in kinds.items() if kind == "glory"} == GLORIES
    promises = [promise.id for promise in shipped.catalog.promises]
    assert promises == ["answer", "complaint_answer", "delivery", "refund"]
    assert shipped.catalog.strikes is not None


def test_no_rule_looks_at_opened_mail(shipped: LoadedCatalog) -> None:
    entries = [*shipped.catalog.rules, *shipped.catalog.promises]
    for entry in entries:
        for _, patterns in patterns_of(entry):
            for pattern in patterns:
                assert not {"email_opened", "notification_opened", "message_read"} & set(
                    pattern.action or ()
                ), entry.id


def test_the_table_of_the_documentation_is_right(shipped: LoadedCatalog) -> None:
    text = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    wanted = [
        f"| `{rule.id}` | {rule.name} | {rule.type} | {rule.kind} | {rule.severity} "
        f"| {rule.owner or '—'} |"
        for rule in shipped.catalog.rules
    ]
    strikes = shipped.catalog.strikes
    assert strikes is not None
    what = f"{strikes.threshold} unresolved pains within {strikes.window.days} days"
    wanted.append(
        f"| `{STRIKES}` | {what} | strikes | pain | {strikes.severity} | {strikes.owner} |"
    )
    assert rows == wanted


def test_the_examples_of_the_documentation_are_good_rules(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    examples = text.split("## Rules of moments")[1].split("```toml\n")[1].split("```")[0]
    default = ROOT / "schemas" / "catalogs" / "default.toml"
    path = tmp_path / "catalog.toml"
    path.write_text(default.read_text(encoding="utf-8") + examples, encoding="utf-8")
    types = {rule["type"] for rule in parse_text("examples", examples)["rules"]}
    assert types == {"single", "count", "rate", "sequence", "absence", "change"}
    assert "call_back" in {promise.id for promise in catalog.load(path).catalog.promises}
