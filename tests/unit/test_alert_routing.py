"""Which routes a moment takes, what moments have in common, and what a link says."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from pipeline.alerts.routing import Routing, common
from tests.alerting import PLACES, START, catalog, moment
from tests.unit.catalogs import SMALL

THREE = """
[[routes]]
id = "first"
to = "team"
{}

[[routes]]
id = "second"
to = "boss"

[[routes]]
id = "joys"
kind = "glory"
to = "desk"
"""


def taken(keys: str, **about: Any) -> list[str]:
    found = Routing(catalog(THREE.format(keys))).of(moment(**about))
    return [route.id for route in found]


def test_the_first_that_matches_takes_it_unless_it_lets_it_go_on() -> None:
    assert taken("") == ["first"]
    assert taken("go_on = true") == ["first", "second"]
    assert taken("", kind="glory") == ["joys"]
    assert taken('rule = "another"') == ["second"]


@pytest.mark.parametrize(
    ("keys", "about", "matches"),
    [
        ('at_least = "high"', {"severity": "medium"}, False),
        ('at_least = "high"', {"severity": "high"}, True),
        ('at_least = "high"', {"severity": "critical"}, True),
        ('at_least = "low"', {"severity": "low"}, True),
        ('rule = ["a", "b"]', {"rule": "b"}, True),
        ('rule = ["a", "b"]', {"rule": "c"}, False),
        ('owner = "Service"', {"owner": "Service"}, True),
        ('owner = "Service"', {"owner": "service"}, False),
        ('touchpoint = "faq"', {"touchpoint": "faq"}, True),
        ('touchpoint = "faq"', {}, False),
        ('channel = ["web", "store"]', {"channel": "store"}, True),
        ('channel = "store"', {}, False),
        ('segment = "vip"', {"segment": "vip"}, True),
        ('segment = "vip"', {"segment": ""}, False),
        ('segment = "vip"\nrule = "a"', {"segment": "vip"}, False),
    ],
)
def test_every_key_given_must_match(keys: str, about: dict[str, str], matches: bool) -> None:
    assert taken(keys, **about) == (["first"] if matches else ["second"])


def test_what_moments_have_in_common_is_in_the_order_asked() -> None:
    told = Routing(catalog()).told(moment(segment="vip", subject="ticket_id:T-1"))
    everything = [
        "moment", "subject", "customer", "severity", "segment", "channel", "touchpoint", "owner",
        "rule",
    ]  # fmt: skip
    assert common(everything, told, "Service") == {  # type: ignore[arg-type]
        "moment": str(told.moment_id),
        "subject": "ticket_id:T-1",
        "customer": "customer-1",
        "severity": "medium",
        "segment": "vip",
        "channel": "web",
        "touchpoint": "product_page",
        "owner": "Service",
        "rule": "long_queue",
    }
    assert list(common(everything, told, "Service")) == everything  # type: ignore[arg-type]


def test_a_link_is_quoted_and_empty_where_there_is_none() -> None:
    link = "https://crm.example.com/{customer}?about={subject}&who={owner}&alert={alert_id}"
    routing = Routing(catalog(f'[[routes]]\nid = "pain"\nto = "team"\nlink = "{link}"\n'))
    told = routing.told(moment(subject="a/b?c&d é"))
    assert routing.link("pain", told, "A & B", UUID(int=1)) == (
        "https://crm.example.com/customer-1?about=a%2Fb%3Fc%26d%20%C3%A9&who=A%20%26%20B"
        "&alert=00000000-0000-0000-0000-000000000001"
    )
    assert routing.link("gone", told, "", UUID(int=1)) == ""
    assert Routing(catalog()).link("pain", told, "", UUID(int=1)) == ""


def test_a_broken_promise_is_named() -> None:
    rules = """
[[promises]]
id = "answer"
name = "Answer within a day"
made = { touchpoint = "product_page" }
kept = { direction = "outbound" }
term = "1d"

[[rules]]
id = "late"
name = "Late"
type = "absence"
kind = "pain"
promise = "answer"
text = "x"
source = "test"
"""
    routing = Routing(catalog(rules))
    assert routing.told(moment(rule="late")).promise == "Answer within a day"
    assert routing.told(moment()).promise == ""


def test_an_urgent_moment_and_a_route_without_hours_never_wait() -> None:
    route = '[[routes]]\nid = "pain"\nto = "team"\nhours = "office"\nurgent = "high"\n'
    routing = Routing(catalog(route + '[[routes]]\nid = "always"\nto = "team"\n'))
    night = datetime(2026, 10, 18, 20, tzinfo=timezone.utc)
    calm, urgent = (routing.told(moment(severity=name)) for name in ("medium", "high"))
    pain, always = routing["pain"], routing["always"]
    assert pain is not None
    assert always is not None
    assert routing.opens_at(pain, calm, night) == START - timedelta(hours=1)
    assert routing.opens_at(pain, calm, START) is None
    assert routing.opens_at(pain, urgent, night) is None
    assert routing.opens_at(always, calm, night) is None
    assert routing["gone"] is None


def test_the_catalog_of_these_tests_passes_the_checks(tmp_path: Any) -> None:
    from pipeline.catalog import load

    path = tmp_path / "catalog.toml"
    path.write_text(SMALL + PLACES + THREE.format(""))
    assert len(load(path).catalog.routes) == 3
