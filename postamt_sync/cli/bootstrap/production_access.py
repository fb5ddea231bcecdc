"""`postamt-sync bootstrap production-access`: asks AWS to move us out of SES's sandbox."""

from __future__ import annotations

import enum
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.change import call
from postamt_sync.cli.bootstrap.stack import Opened, agreed, opened
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.options import ConfigPath, Debug, Yes
from postamt_sync.errors import ExitCode, MisconfiguredError

USE_CASE = (
    "A household's own mail: {people} under our own domain ({domains}) {write} to people they "
    "know, by hand, from mail clients over SMTP. No newsletters, no lists, no bought addresses, no "
    "automatic mail. We expect fewer than 200 messages a day. Bounces and complaints come back to "
    "the person who wrote, at the MAIL FROM domain and by SES's feedback; we then stop writing to "
    "that address. Mail is signed with Easy DKIM, and SPF and DMARC are published."
)

ASKED = "Asked. The answer comes by mail to the account's address."


class Language(enum.StrEnum):
    """The language of AWS's answer."""

    EN = "EN"
    JA = "JA"


def production_access(
    website: Annotated[
        str,
        typer.Option("--website", metavar="URL", help="A page of yours; else https://DOMAIN."),
    ] = "",
    language: Annotated[Language, typer.Option("--language", help="Of AWS's answer.")] = (
        Language.EN
    ),
    yes: Yes = False,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Ask AWS to let you send to everyone, not only to addresses and domains that
    SES has verified: your own, and others whose owners agreed.

    Files the request with the texts it needs, shown first. A person at AWS
    answers, by mail, usually within a day. Mail comes in without it.

    \b
    Examples:
      postamt-sync bootstrap production-access
      postamt-sync bootstrap production-access --website https://example.com --yes
    """
    console = open_console()
    account = opened(config, None)
    account.introduce(console)
    if standing := may_send(account):
        console.print(standing)
        return ExitCode.OK
    page, text = request_of(account, website)
    show_request(console, page, text)
    agreed("Is this true of you, and shall AWS be asked?", yes=yes)
    file_request(account, page, text, language)
    console.print(ASKED)
    return ExitCode.OK


def may_send(account: Opened) -> str:
    """Return why there is no need to ask AWS, "" if there is."""
    standing = account.aws.read("sesv2", "get_account") or {}
    if standing.get("ProductionAccessEnabled"):
        return "You may send to everyone already."
    status = standing.get("Details", {}).get("ReviewDetails", {}).get("Status")
    return "The request is with AWS; the answer comes by mail." if status == "PENDING" else ""


def request_of(account: Opened, website: str) -> tuple[str, str]:
    """Return the web page and the text of the request."""
    domains = account.stack.domains
    if not domains:
        raise MisconfiguredError(
            "No domain is configured.", 'Name it: [stack] domains = ["example.com"].'
        )
    people = len(account.settings.mailboxes)
    text = USE_CASE.format(
        people="one person" if people == 1 else f"{people} people",
        write="writes" if people == 1 else "write",
        domains=", ".join(domains),
    )
    return website or f"https://{domains[0]}", text


def show_request(console: Console, page: str, text: str) -> None:
    """Print the request."""
    for name, value in (("Website", page), ("Use", text)):
        console.print(Text(name, style="bold"))
        paragraph(console, value, "    ")


def file_request(account: Opened, page: str, text: str, language: Language) -> None:
    """Send the request to AWS."""
    account.aws.write(
        call(
            "sesv2",
            "put_account_details",
            MailType="TRANSACTIONAL",
            WebsiteURL=page,
            ContactLanguage=language.value,
            UseCaseDescription=text,
            ProductionAccessEnabled=True,
        )
    )
