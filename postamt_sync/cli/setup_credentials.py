"""Finds an administrator's AWS credentials, or says how to get them and waits for them."""

from __future__ import annotations

import os
import re

import typer
from rich.console import Console
from rich.text import Text

from postamt_sync.aws.clients import A_PERSON_ANSWERS, new_session
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.cli.console import paragraph
from postamt_sync.errors import CredentialsError, MisconfiguredError, PostamtError

CLOUDSHELL = "https://console.aws.amazon.com/cloudshell"
EXPORT = "aws configure export-credentials --format env"
_LINE = re.compile(
    r"(?:\bexport\s+|\bset\s+|\$env:)?\b(AWS_[A-Z_]+)\s*=\s*[\"']?([\x21\x23-\x26\x28-\x7e]+)",
    re.IGNORECASE,
)
"""An assignment as in a shell, PowerShell, or a credentials file."""
_NEEDED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def how_to_get_them() -> str:
    """Return a hint that says how to get credentials."""
    return (
        f"Open {CLOUDSHELL} as an administrator, type there: {EXPORT} and put the lines that it "
        "prints into this shell. Then type again: postamt-sync setup"
    )


def administrator(console: Console, region: str, *, ask: bool) -> AwsClient:
    """Return a client for the account of the credentials; if there are none, say how to get them
    and wait for them. Raises PostamtError if nobody can be asked, or AWS is out of reach."""
    while True:
        try:
            aws = AwsClient(new_session(region, program_seconds=A_PERSON_ANSWERS), region)
            _ = aws.account
        except (CredentialsError, MisconfiguredError) as error:
            if not ask:
                raise CredentialsError(error.problem, how_to_get_them()) from error
            _explain(console, error)
            _pasted(console)
        else:
            return aws


def _explain(console: Console, error: PostamtError) -> None:
    console.print()
    console.print(Text("Credentials of an administrator of your AWS account", style="bold"))
    paragraph(console, error.problem, "  ", "yellow")
    paragraph(console, "Sign in to AWS in a browser as an administrator, and open:", "  ")
    console.print(Text(f"    {CLOUDSHELL}", style="bold"), soft_wrap=True)
    paragraph(console, "Type there, and paste here the lines that it prints:", "  ")
    console.print(Text(f"    {EXPORT}", style="bold"), soft_wrap=True)
    paragraph(
        console,
        "They are kept nowhere, and expire by themselves. Enter looks again, if you have made them "
        "elsewhere; Ctrl-C stops, your answers are kept.",
        "  ",
    )


def read_pasted(line: str) -> dict[str, str]:
    """Return the environment variables that a pasted line sets."""
    return {name.upper(): value for name, value in _LINE.findall(line)}


def _pasted(console: Console) -> None:
    """Read lines until the credentials are complete or a line is empty; keep them in this
    process."""
    found: dict[str, str] = {}
    while not all(name in found for name in _NEEDED):
        line: str = typer.prompt("  Paste", default="", show_default=False)
        if not line.strip():
            break
        pasted = read_pasted(line)
        if not pasted:
            paragraph(console, "As in: export AWS_ACCESS_KEY_ID=…", "  ", "yellow")
        found |= pasted
    if all(name in found for name in _NEEDED[:2]):
        os.environ.pop("AWS_SESSION_TOKEN", None)
        os.environ.pop("AWS_PROFILE", None)
        os.environ.update({name: found[name] for name in _NEEDED if name in found})
