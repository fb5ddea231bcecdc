"""`postamt-sync bootstrap`: the verbs for the AWS side, each imported only when it is typed."""

from __future__ import annotations

import typer

from postamt_sync.cli.verbs import Verb, VerbGroup, end_without_verb

_HERE = "postamt_sync.cli.bootstrap"


class BootstrapVerbs(VerbGroup):
    """The verbs, in the order of the help."""

    verbs = (
        Verb("init", f"{_HERE}.init:init", "Ask a few questions, write the configuration."),
        Verb("plan", f"{_HERE}.plan:plan", "Show what apply would do."),
        Verb("apply", f"{_HERE}.apply:apply", "Build the AWS side, or bring it up to date."),
        Verb("verify", f"{_HERE}.verify:verify", "Check that everything is there, and works."),
        Verb(
            "reindex",
            f"{_HERE}.reindex:reindex",
            "List existing mail for the webmail.",
        ),
        Verb("dns", f"{_HERE}.dns:dns", "The DNS records: show, export, apply to Route 53."),
        Verb("cost", f"{_HERE}.cost:cost", "Show what AWS will charge a month."),
        Verb(
            "credentials", f"{_HERE}.credentials:app", "Show mail clients' credentials; renew keys."
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
    """Build the AWS side, maintain it, and remove it.

    \b
    Examples:
      postamt-sync bootstrap init    # a few questions, then a configuration
      postamt-sync bootstrap plan    # what would be built
      postamt-sync bootstrap apply   # build it
    """
    end_without_verb(context)
