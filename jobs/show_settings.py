"""``touchline settings``: what is configured, from where it can be, secrets hidden."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.table import Table

from jobs.console import out
from pipeline.settings import PREFIX, Settings, load


def show_settings(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List every setting, its value now and what it is for."""
    settings = load()
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    shown = {
        name: "********" if isinstance(value, SecretStr) else value
        for name, value in values.items()
    }
    if as_json:
        out.print_json(json.dumps(shown, default=str))
        return
    table = Table("setting", "value", "what it is", title="Environment, or keys of touchline.toml")
    for name, info in Settings.model_fields.items():
        value = shown[name]
        table.add_row(
            f"{PREFIX}{name.upper()}", "" if value is None else str(value), info.description or ""
        )
    out.print(table)
