"""``touchline schema``: the contracts as JSON Schema, for editors and other languages."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer
from pydantic import TypeAdapter

from jobs.console import write_document
from schemas.catalog import Catalog
from schemas.interaction import INTERACTION
from schemas.mapping import Mapping
from schemas.moment import Moment
from schemas.notification import Notification

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CONTRACTS: dict[str, tuple[TypeAdapter[Any], str]] = {
    "interaction": (INTERACTION, "Touchline interaction"),
    "catalog": (TypeAdapter(Catalog), "Touchline catalog"),
    "moment": (TypeAdapter(Moment), "Touchline moment of truth"),
    "notification": (TypeAdapter(Notification), "Touchline notification of an alert"),
    "mapping": (TypeAdapter(Mapping), "Touchline mapping of a foreign log"),
}


def json_schema(contract: str) -> dict[str, Any]:
    """Return the JSON Schema of one contract."""
    adapter, title = _CONTRACTS[contract]
    return {"$schema": _DIALECT, **adapter.json_schema(), "title": title}


def schema(
    contract: Annotated[
        Literal["interaction", "catalog", "mapping", "moment", "notification"],
        typer.Argument(help="Which contract."),
    ],
) -> None:
    """Print the JSON Schema of a contract."""
    text = json.dumps(json_schema(contract), indent=2)
    write_document(text.encode() + b"\n")
