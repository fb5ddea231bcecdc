"""`postamt-sync bootstrap plan`: how the account differs from the stack."""

from __future__ import annotations

from rich.text import Text

from postamt_sync.cli.bootstrap.stack import Out, PositionOption, Wheel, opened, show
from postamt_sync.cli.console import open_console
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.cli.printed_json import print_json
from postamt_sync.errors import ExitCode
from postamt_sync.quantities import count


def plan(
    position: PositionOption = "",
    out: Out = None,
    wheel: Wheel = None,
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Show what apply would do. Only reads.

    Exits 0 if there is nothing to do, 2 if there are changes to make, 78 if there
    is a conflict, as apply would. + marks a change, ! a conflict, and . a note.

    \b
    Examples:
      postamt-sync bootstrap plan
      postamt-sync bootstrap plan --json | jq -r '.changes[].change'
    """
    account = opened(config, out, wheel)
    found = account.plan(position)
    if json:
        print_json(found.as_json())
    else:
        console = open_console()
        account.introduce(console)
        show(found, console)
        if found.conflicts:
            console.print(f"\n{count(len(found.conflicts), 'conflict')} to resolve first.")
        elif found.changes:
            changes = count(len(found.changes), "change")
            apply = account.line.typed("bootstrap apply")
            console.print(Text(f"\n{changes}. Make them with: {apply}"), soft_wrap=True)
        else:
            console.print("\nNothing to do.")
    if found.conflicts:
        return ExitCode.CONFIGURATION
    return ExitCode.CHANGES if found.changes else ExitCode.OK
