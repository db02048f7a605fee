"""``touchline settings``: what is configured, from where it can be, secrets hidden."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.table import Table

from jobs.console import out
from pipeline.settings import DEFAULT_FILE, PREFIX, Settings, load, secrets


def show_settings(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List every setting, its value now and what it is for.

    Settings come from the environment or from ./touchline.toml.
    TOUCHLINE_CONFIG names another file. Secrets can be read from files:
    TOUCHLINE_PEPPER_FILE, TOUCHLINE_KAFKA_PASSWORD_FILE and
    TOUCHLINE_CLICKHOUSE_PASSWORD_FILE name them.
    """
    settings = load()
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    shown = {
        name: "********" if isinstance(value, SecretStr) else value
        for name, value in values.items()
    }
    if as_json:
        out.print_json(json.dumps(shown, default=str))
        return
    table = Table(title="Settings")
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("what it is", overflow="fold")
    for name, info in Settings.model_fields.items():
        value = shown[name]
        table.add_row(
            f"{PREFIX}{name.upper()}", "" if value is None else str(value), info.description or ""
        )
    out.print(table)
    files = ", ".join(f"{PREFIX}{name.upper()}_FILE" for name in secrets())
    out.print(
        f"Set them in the environment, or in ./{DEFAULT_FILE} in lower case and without "
        f"{PREFIX}: partitions = 12. {PREFIX}CONFIG names another file. Secrets can be read from "
        f"the files that these name: {files}.",
        markup=False,
    )
