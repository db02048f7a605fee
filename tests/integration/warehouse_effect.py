"""Records for the tests of what touchpoints and channels bring: threads, outcomes, many stages.

The nasty records of ``warehouse_records`` with more touchpoints, cases that interactions share in
part, and moments of rules that say that a customer was asked again, or look as if they did.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from pipeline.warehouse.ledger_rows import MomentRow
from schemas.catalog import Catalog
from tests.integration.warehouse_moments import moments
from tests.integration.warehouse_records import Record, records

STAGES = ["awareness", "consideration", "purchase", "loyalty"]
WEIGHTS = {"awareness": 0.3, "consideration": 0.4, "purchase": 0.3, "loyalty": 0.0}
SEGMENTS = ["new", "vip", "nobody_yet"]
NEEDS = ["pay", "learn", "complain", "give_back"]
CHANNELS = ["store", "web", "email", "phone", "kiosk"]
GOAL = "purchase"
#: Touchpoint, stage at face value, importance, needs it serves.
TOUCHPOINTS: list[tuple[str, str, int, list[str]]] = [
    ("ad", "awareness", 1, ["learn"]),
    ("blog", "awareness", 3, ["learn", "complain"]),
    ("product_page", "consideration", 4, ["learn", "pay"]),
    ("faq", "consideration", 2, ["learn", "give_back"]),
    ("never_used", "consideration", 5, ["pay"]),
    ("checkout", "purchase", 5, ["pay"]),
    ("till", "purchase", 4, ["pay"]),
    ("referral", "loyalty", 3, ["learn"]),
]
OWNERS = {touchpoint: f"Owner of {touchpoint}" for touchpoint, *_ in TOUCHPOINTS}
#: Rules as (id, type, kind): the first two are what makes a handoff lossy.
RULES = [
    ("asked_again", "change", "pain"),
    ("told_twice", "change", "pain"),
    ("welcomed", "change", "glory"),
    ("long_queue", "single", "pain"),
]
CATALOG = Catalog.model_validate(
    {
        "version": "1",
        "name": "Test",
        "journey": {"gap": "14d"},
        "channels": [{"id": name, "name": name} for name in CHANNELS],
        "needs": [{"id": name, "name": name} for name in NEEDS],
        "stages": [
            {
                "id": name,
                "name": name,
                "weight": WEIGHTS[name],
                "phase": "before",
                "funnel": "decision",
            }
            for name in STAGES
        ],
        "segments": [{"id": name, "name": name} for name in SEGMENTS],
        "touchpoints": [
            {
                "id": name,
                "name": name,
                "kind": "communication",
                "contact": "digital",
                "needs": needs,
                "stage": stage,
                "owner": OWNERS[name],
                "outcome": "Knows",
                "process": "Content",
                "importance": importance,
                "match": [{"channel": "web"}],
            }
            for name, stage, importance, needs in TOUCHPOINTS
        ],
        "outcomes": [
            {"id": GOAL, "name": "Bought", "touchpoints": ["checkout", "till"], "action": "click"},
            {"id": "advice", "name": "Knows", "touchpoints": ["faq", "till"]},
        ],
        "rules": [
            {
                "id": rule,
                "name": rule,
                "type": kind_of_rule,
                "kind": kind,
                "severity": "low",
                "text": "{customer} waits",
                "source": "a test",
                "when": {"touchpoint": "faq"},
                **({"per": "need", "within": "7d"} if kind_of_rule == "change" else {}),
            }
            for rule, kind_of_rule, kind in RULES
        ],
    }
)


def reached(event: Record) -> str:
    """Return the outcome that an event reaches, or nothing."""
    if event["touchpoint"] in ("checkout", "till") and event["action"] == "click":
        return GOAL
    return "advice" if event["touchpoint"] in ("faq", "till") else ""


def effect_records(seed: int, count: int = 1200) -> list[Record]:
    """Return many records, in the order of their offsets and then some stored again."""
    dice = random.Random(seed)
    made = [
        {**row, **_where(dice), "case_ids": _cases(dice)}
        for row in records(seed, count, customers=80)
    ]
    for row in made:
        if int(row["customer_key"], 16) % 8 == 0:
            row["segment"] = ""
    return made


def effect_moments(seed: int, events: Sequence[Record]) -> list[MomentRow]:
    """Return revisions of moments that events caused, of the rules of this catalog and another."""
    dice = random.Random(seed)
    rules = [(rule, kind) for rule, _, kind in RULES] + [("old_rule", "pain")]
    chosen = {
        row.moment_id: dice.choice([rules[0], *rules]) for row in moments(seed, events, count=260)
    }
    return [
        row._replace(rule=chosen[row.moment_id][0], kind=chosen[row.moment_id][1])
        for row in moments(seed, events, count=260)
    ]


def _where(dice: random.Random) -> Record:
    """Return a touchpoint with its stage, which history can move, or something unknown."""
    touchpoint, stage, *_ = dice.choice(
        [
            *TOUCHPOINTS[:4],
            *TOUCHPOINTS[5:],
            ("unclassified", "unclassified"),
            ("no_longer_known", "an_old_stage"),
        ]
    )
    return {
        "touchpoint": touchpoint,
        "stage_default": stage,
        "stage_after": [("bought", 2, "loyalty")] if touchpoint in ("ad", "faq") else [],
        "facts": ["bought"] if touchpoint == "checkout" else [],
        "need": dice.choice(["pay", "pay", "learn", "complain", "a need nobody declared", ""]),
    }


def _cases(dice: random.Random) -> dict[str, str]:
    """Return none, one or several threads; few of each, so that they go on."""
    kinds = dice.sample(["order_id", "ticket_id"], dice.choice([0, 1, 1, 2]))
    return {kind: f"{kind}-{dice.randrange(3)}" for kind in kinds}
