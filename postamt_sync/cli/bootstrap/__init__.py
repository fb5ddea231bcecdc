"""`postamt-sync bootstrap`: the verbs for the AWS side, each imported only when it is typed."""

from __future__ import annotations

import typer

from postamt_sync.cli.verbs import Verb, VerbGroup, end_without_verb

_HERE = "postamt_sync.cli.bootstrap"


class BootstrapVerbs(VerbGroup):
    """The verbs, in the order of the help."""

    verbs = (
        Verb("init", f"{_HERE}.init:init", "Ask a few questions, write the configuration."),
        Verb("plan", f"{_HERE}.plan:plan", "Say what apply would do."),
        Verb("apply", f"{_HERE}.apply:apply", "Build the AWS side, or bring it up to date."),
        Verb("verify", f"{_HERE}.verify:verify", "Check that all is there, and that it works."),
        Verb(
            "reindex",
            f"{_HERE}.reindex:reindex",
            "List mail that is there already, for the webmail.",
        ),
        Verb("dns", f"{_HERE}.dns:dns", "The DNS records: show, export, apply to Route 53."),
        Verb("cost", f"{_HERE}.cost:cost", "Say what AWS will charge in a month."),
        Verb(
            "credentials", f"{_HERE}.credentials:app", "For mail clients that send; renew the keys."
        ),
        Verb(
            "production-access",
            f"{_HERE}.production_access:production_access",
            "Ask AWS to let you send to everyone.",
        ),
        Verb("destroy", f"{_HERE}.destroy:destroy", "Remove it again, and keep the mail."),
    )


app = typer.Typer(cls=BootstrapVerbs, add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def bootstrap(context: typer.Context) -> None:
    """Build the AWS side, look after it, take it down.

    \b
    Examples:
      postamt-sync bootstrap init    # a few questions, then a configuration
      postamt-sync bootstrap plan    # what would be made
      postamt-sync bootstrap apply   # make it
    """
    end_without_verb(context)
