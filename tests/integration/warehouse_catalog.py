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
    }
)
