"""A catalog for the tests of the warehouse: some of it never used, and not all that is used."""

from __future__ import annotations

from schemas.catalog import Catalog

STAGES = ["knowledge", "consideration", "trial", "purchase", "satisfaction", "loyalty"]
WEIGHTS = [0.1, 0.2, 0.1, 0.3, 0.2, 0.1]
SEGMENTS = ["vip", "new", "nobody_yet"]
OWNERS = {
    "product_page": "E-commerce",
    "faq": "Service",
    "checkout": "E-commerce",
    "complaint": "Service",
    "never_used": "Nobody",
}
#: Rules as (id, kind, severity); the last of the catalog's own finds nothing.
RULES = [
    ("long_queue", "pain", "high"),
    ("thanked", "glory", "low"),
    ("silent", "pain", "medium"),
    ("three_strikes", "pain", "critical"),
]
RULE_OWNERS = ["Service", "", "Marketing", "Customer care"]
PROMISES = ["answer", "delivery", "refund"]
GLORIES_PER_PAIN = 2.5
STRIKES = (2, 40)  # threshold, window in days
CATALOG_CHANNELS = ["store", "web", "email", "phone", "kiosk"]
CATALOG = Catalog.model_validate(
    {
        "version": "1",
        "name": "Test",
        "journey": {"gap": "14d"},
        "channels": [{"id": name, "name": name} for name in CATALOG_CHANNELS],
        "needs": [{"id": "learn", "name": "Learn"}],
        "stages": [
            {"id": name, "name": name, "weight": weight, "phase": "before", "funnel": "decision"}
            for name, weight in zip(STAGES, WEIGHTS, strict=True)
        ],
        "segments": [{"id": name, "name": name} for name in SEGMENTS],
        "touchpoints": [
            {
                "id": name,
                "name": name,
                "kind": "communication",
                "contact": "digital",
                "needs": ["learn"],
                "stage": "knowledge",
                "owner": owner,
                "outcome": "Knows",
                "process": "Content",
                "importance": 3,
                "match": [{"channel": "web"}],
            }
            for name, owner in OWNERS.items()
        ],
        "rules": [
            {
                "id": rule,
                "name": rule,
                "type": "single",
                "kind": kind,
                "severity": severity,
                "text": "{customer} waits",
                "source": "a test",
                "when": {"touchpoint": "faq"},
                **({"owner": owner} if owner else {}),
            }
            for (rule, kind, severity), owner in zip(RULES[:-1], RULE_OWNERS, strict=False)
        ],
        "promises": [
            {
                "id": name,
                "name": name,
                "made": {"touchpoint": "faq"},
                "kept": {"direction": "outbound"},
                **({"term": "48h"} if name == "answer" else {}),
            }
            for name in PROMISES
        ],
        "strikes": {"threshold": STRIKES[0], "window": f"{STRIKES[1]}d"},
        "trust": {"glories_per_pain": GLORIES_PER_PAIN},
    }
)
