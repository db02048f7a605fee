"""The command ``touchline``: one subcommand a module, errors in words, exit codes that mean it.

Exit codes: 0 all well, 1 something failed or was not delivered, 2 wrong usage or an unusable file,
130 interrupted.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from jobs.console import careful_output, err, out
from pipeline.errors import CatalogError, TouchlineError

#: Subcommands in the order of the help, each with its module and its function, or its group.
COMMANDS = {
    "demo": ("jobs.demo", "demo"),
    "up": ("jobs.up", "up"),
    "worker": ("jobs.worker", "command"),
    "alerter": ("jobs.alerter", "command"),
    "produce": ("jobs.produce", "produce"),
    "ingest": ("jobs.ingest", "ingest"),
    "simulate": ("jobs.simulate", "simulate"),
    "query": ("jobs.query", "query"),
    "export": ("jobs.export", "export"),
    "journey": ("jobs.journey", "journey"),
    "backtest": ("jobs.backtest", "backtest"),
    "rebuild": ("jobs.rebuild", "rebuild"),
    "migrate": ("jobs.migrate", "migrate"),
    "alerts": ("jobs.alerts", "alerts"),
    "ack": ("jobs.ack", "ack"),
    "silence": ("jobs.silence", "silence"),
    "topics": ("jobs.topics", "app"),
    "replay": ("jobs.replay", "app"),
    "doctor": ("jobs.doctor", "doctor"),
    "check": ("jobs.check", "check"),
    "schema": ("jobs.schema", "schema"),
    "settings": ("jobs.show_settings", "show_settings"),
}


class Commands(TyperGroup):
    """Imports a subcommand's module when it is needed, and says its errors in words."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand; our errors end it with their exit code, wrong usage is typer's."""
        try:
            return super().invoke(ctx)
        except CatalogError as error:
            for problem in error.problems:
                err.print(str(problem), style="red", markup=False, soft_wrap=True)
            raise typer.Exit(2) from None
        except TouchlineError as error:
            err.print(f"touchline: {error}", style="red", markup=False, soft_wrap=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            err.print("interrupted")
            raise typer.Exit(130) from None

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the subcommands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one subcommand, or None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, function = COMMANDS[cmd_name]
        found = getattr(import_module(module), function)
        if isinstance(found, typer.Typer):
            group = typer.main.get_command(found)
            group.name = cmd_name
            return group
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(found)
        return typer.main.get_command(single)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"touchline {version('touchline')}")
        raise typer.Exit


@app.callback()
def touchline(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Know live how customers meet your company, and where it hurts.

    With nothing configured every command works on an embedded Kafka broker and ClickHouse engine
    below ./.touchline; `touchline settings` lists what can be configured.
    """
    configure_logging(verbose)


def configure_logging(verbose: bool) -> None:
    """Send log records to standard error, ours at INFO, the libraries' at WARNING."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for name in ("kafka", "aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # their retries are said by who retries; a long callback of a busy producer is no news
    for name in ("clickhouse_connect", "urllib3", "kafka.net.selector"):
        logging.getLogger(name).setLevel(logging.ERROR)


def main() -> None:
    """Run the command line and exit with its code."""
    with careful_output():
        app(prog_name="touchline")


if __name__ == "__main__":
    main()
