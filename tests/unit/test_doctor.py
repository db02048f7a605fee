"""Checks: deadlines, what depends on what, and what is said of topics, offsets and clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from threading import Event

import pytest

from pipeline import catalog, topic_plan
from pipeline.doctor import kafka, local
from pipeline.doctor.findings import Check, Level, Result, examine, explained, fail, ok, skip, warn
from pipeline.doctor.warehouse import skew
from pipeline.errors import FatalError, RetryableError
from pipeline.settings import Settings
from pipeline.topic_plan import Topic

SETTINGS = Settings(kafka="10.0.0.1:9092", partitions=4, replication=3)
CATALOG = catalog.load().catalog
GOOD = {"min.insync.replicas": "2", "retention.ms": "604800000", "cleanup.policy": "delete"}


def names_and_levels(*checks: Check) -> list[tuple[str, str]]:
    return [(found.check, found.level.value) for found in examine(checks)]


def test_what_depends_on_a_failure_is_left_out_and_the_rest_is_looked_at() -> None:
    def broken() -> Iterator[Result]:
        yield ok("begins well")
        raise RetryableError("nobody there (fix: start it)")

    assert names_and_levels(
        Check("a", broken),
        Check("b", lambda: [ok("fine")], ("a",)),
        Check("c", lambda: [ok("fine")], ("b",)),
        Check("d", lambda: [warn("so so", "mend it")]),
        Check("e", lambda: [ok("fine")], ("d",)),
        Check("f", lambda: [skip("not here")]),
        Check("g", lambda: [ok("fine")], ("f",)),
    ) == [
        ("a", "ok"),
        ("a", "fail"),
        ("b", "skip"),
        ("c", "skip"),
        ("d", "warn"),
        ("e", "ok"),
        ("f", "skip"),
        ("g", "skip"),
    ]


def test_a_check_that_hangs_is_a_finding_after_its_deadline() -> None:
    never = Event()

    def hangs() -> Iterator[Result]:
        yield ok("first")
        never.wait()

    found = list(examine([Check("a", hangs, seconds=0.2), Check("b", lambda: [ok("on")])]))
    never.set()
    assert [each.level for each in found] == [Level.OK, Level.FAIL, Level.OK]
    assert "no answer within 0.2 s" in found[1].said


def test_a_check_that_breaks_is_a_finding() -> None:
    (found,) = examine([Check("a", lambda: [1 / 0])])  # type: ignore[list-item]
    assert found.level is Level.FAIL
    assert "ZeroDivisionError" in found.said
    assert found.fix


@pytest.mark.parametrize(
    ("error", "said", "fix"),
    [
        ("gone (fix: start it)", "gone", "start it"),
        ("x (error 243 FULL; fix: free space)", "x (error 243 FULL)", "free space"),
        ("no words", "no words", "see the message"),
    ],
)
def test_an_error_says_its_own_fix(error: str, said: str, fix: str) -> None:
    assert explained(FatalError(error)) == fail(said, fix)


def all_topics(**changes: Topic) -> dict[str, Topic]:
    there = {name: Topic(name, 4, 3, 3, [], GOOD) for name in topic_plan.names(SETTINGS, CATALOG)}
    return {**there, **{each.name: each for each in changes.values()}}


@pytest.mark.parametrize(
    ("topic", "level", "says"),
    [
        (Topic("interactions.web", 5, 3, 3, [], GOOD), "fail", "--partitions 5"),
        (Topic("interactions.web", 4, 3, 2, [], GOOD), "warn", "2 of 3 copies"),
        (Topic("interactions.web", 4, 3, 1, [], GOOD), "fail", "takes no records"),
        (Topic("interactions.web", 4, 3, 3, [2], GOOD), "fail", "without a leader: 2"),
        (Topic("interactions.web", 4, 1, 1, [], {}), "warn", "1 copy of each"),
        (
            Topic("interactions.web", 4, 3, 3, [], {**GOOD, "min.insync.replicas": "1"}),
            "warn",
            "--add-config min.insync.replicas=2",
        ),
        (
            Topic("interactions.web", 4, 3, 3, [], {**GOOD, "cleanup.policy": "compact,delete"}),
            "fail",
            "--add-config cleanup.policy=delete",
        ),
        (
            Topic("interactions.web", 4, 3, 3, [], {**GOOD, "retention.ms": "3600000"}),
            "fail",
            "for 1.0 hours",
        ),
        (
            Topic("moments", 4, 3, 3, [], {**GOOD, "retention.ms": "3600000"}),
            "warn",
            "for 1.0 hours",
        ),
        (
            Topic("interactions.rejected", 4, 3, 3, [], {**GOOD, "max.message.bytes": "1000"}),
            "warn",
            "max.message.bytes=",
        ),
    ],
)
def test_a_topic_that_is_not_as_it_should_be(topic: Topic, level: str, says: str) -> None:
    found = [
        each
        for each in topic_plan.judge(SETTINGS, CATALOG, all_topics(changed=topic))
        if each[0] is not Level.OK
    ]
    assert [each[0].value for each in found] == [level]
    assert says in " ".join(found[0])


def test_topics_that_are_well_or_not_there() -> None:
    assert [level for level, _, _ in topic_plan.judge(SETTINGS, CATALOG, all_topics())] == [
        Level.OK
    ]
    ((level, said, fix),) = topic_plan.judge(SETTINGS, CATALOG, {})
    assert level is Level.WARN
    assert "interactions.web" in said
    assert "touchline topics create" in fix


def test_new_topics_are_like_those_that_are_there() -> None:
    there = {"interactions.web": Topic("interactions.web", 7, 3, 3)}
    made = topic_plan.plan(SETTINGS, CATALOG, there)
    assert {(each.partitions, each.replication) for each in made} == {(7, 3)}
    assert all(each.config == {"min.insync.replicas": "2"} for each in made)
    assert len(made) == len(CATALOG.channels) + 1
    with pytest.raises(FatalError, match="--partitions 7"):
        topic_plan.plan(SETTINGS, CATALOG, there, 8)
    assert not topic_plan.plan(SETTINGS, CATALOG, {}, 1, 1)[0].config


def test_records_that_kafka_deleted_before_they_were_stored() -> None:
    starts, ends = {("t", 0): 10, ("t", 1): 0}, {("t", 0): 20, ("t", 1): 5}
    assert not list(kafka.lost(starts, ends, {("t", 0): 10, ("gone", 0): 3}))
    (gone,) = kafka.lost(starts, ends, {("t", 0): 7})
    assert "offsets 7 to 9" in gone[1]
    (beyond,) = kafka.lost(starts, ends, {("t", 1): 9})
    assert "--topic t:1 --from-beginning" in beyond[2]


@pytest.mark.parametrize(
    ("seconds", "level"), [(0.05, "ok"), (-1, "ok"), (30, "warn"), (-30, "warn"), (400, "fail")]
)
def test_clocks(seconds: float, level: str) -> None:
    before = datetime(2026, 10, 1, tzinfo=timezone.utc)
    after = before + timedelta(seconds=0.1)
    (found,) = skew(before + timedelta(seconds=seconds), before, after, 300.0)
    assert found[0].value == level


def test_secrets_that_others_can_read(tmp_path, monkeypatch) -> None:
    secret = tmp_path / "open" / "pepper"
    secret.parent.mkdir(mode=0o755)
    secret.write_text("x" * 20)
    secret.chmod(0o644)
    monkeypatch.setenv("TOUCHLINE_PEPPER_FILE", str(secret))
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "home")
    (_, found) = local.configured(settings)
    assert found[0] is Level.WARN
    assert found[2] == f"`chmod 600 {secret}`"
    secret.parent.chmod(0o700)
    assert len(list(local.configured(settings))) == 1, "the directory keeps others out"
    secret.parent.chmod(0o755)
    secret.chmod(0o600)
    assert len(list(local.configured(settings))) == 1


def test_a_pepper_that_is_gone_beside_its_data(tmp_path) -> None:
    home = tmp_path / "home"
    (home / "clickhouse").mkdir(parents=True)
    levels = [level for level, _, _ in local.embedded_stack(Settings(home=home))]
    assert levels == [Level.FAIL, Level.SKIP]
