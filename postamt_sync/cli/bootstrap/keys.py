"""What the verbs say of keys and of the files that they lie in."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.resources.access_key import AccessKeyResource, ids_of
from postamt_sync.cli.bootstrap.stack import Opened, is_terminal
from postamt_sync.events import printable


def remember(account: Opened, console: Console) -> None:
    """Note beside the configuration which keys lie in the files of this run."""
    kept = account.keys
    files: dict[str, Path] = {}
    for key in filter(None, (kept.sync, kept.smtp)):
        held = key.file.look()
        if held.key_id and held.owner in {"", key.file.owner}:
            files[held.key_id] = key.file.path
    problem = account.hints.remember(files)
    if problem:
        console.print(Text(f"\n{problem}"))


def located(key: AccessKeyResource) -> str:
    """Name the file that has the user's key, or say which key must be found."""
    keys = key.keys()
    found = key.where(keys)
    if found is not None:
        return printable(str(found[1]), 4096)
    if not keys:
        return str(key.file.path)
    ids = sorted(ids_of(keys))
    hint = key.place.hint(ids).strip()
    return f"the file that has {' or '.join(ids)}{f' ({hint[:-1]})' if hint else ''}"


def key_files(account: Opened) -> list[str]:
    """Return the files, ready to be typed, that hold keys of the users."""
    kept = account.keys
    found = [key.where(key.keys()) for key in (kept.sync, kept.smtp) if key is not None]
    return [shlex.quote(printable(str(one[1]), 4096)) for one in found if one is not None]


def show_password(account: Opened, console: Console) -> None:
    """Show a person, and no log, what a mail client is to be given."""
    if not is_terminal():
        return
    values = account.keys.smtp_file.read()
    console.print(Text("\nFor mail clients that send, shown this once:", style="bold"))
    for name in ("server", "port", "security", "username", "password"):
        console.print(Text(f"  {name:<9} {values.get(name, '')}"))
