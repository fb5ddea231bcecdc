"""`postamt-sync bootstrap`: the verbs of the AWS side, each imported only when it is typed."""

from __future__ import annotations

import typer

from postamt_sync.cli.verbs import Verb, VerbGroup
from postamt_sync.errors import ExitCode

_HERE = "postamt_sync.cli.bootstrap"


class BootstrapVerbs(VerbGroup):
    """The verbs in the order of the help."""

    verbs = (
        Verb("dns", f"{_HERE}.dns:dns", "The DNS records: show, export, apply to Route 53."),
        Verb("cost", f"{_HERE}.cost:cost", "Say what AWS will ask for in a month."),
    )


app = typer.Typer(cls=BootstrapVerbs, add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def bootstrap(context: typer.Context) -> None:
    """Build the AWS side, look after it, take it down.

    \b
    Examples:
      postamt-sync bootstrap cost --mails-per-day 100
      postamt-sync bootstrap dns --format zone > example.com.zone
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(ExitCode.USAGE)
