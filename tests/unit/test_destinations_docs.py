"""The examples of docs/destinations.md are right."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline import catalog
from schemas.alerts import DestinationBase
from tests.unit.catalogs import SMALL

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "destinations.md").read_text("utf-8")


def test_the_examples_are_a_catalog_and_every_type_has_one(tmp_path: Path) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    (tmp_path / "mine.toml").write_text("\n".join([SMALL, *blocks]))
    found = catalog.load(tmp_path / "mine.toml").catalog.destinations
    shown = {type(destination) for destination in found}

    def leaves(model: type[DestinationBase]) -> set[type[DestinationBase]]:
        below = [leaves(one) for one in model.__subclasses__()]
        return set().union(*below) if below else {model}

    assert shown == leaves(DestinationBase)
