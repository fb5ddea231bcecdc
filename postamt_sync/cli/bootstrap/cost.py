"""`postamt-sync bootstrap cost`: the expected bill."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from postamt_sync.bootstrap.bill import Bill, BillItem
from postamt_sync.bootstrap.pricing import Usage, bill
from postamt_sync.bootstrap.seal_stack import longest_plain
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.cli.printed_json import print_json
from postamt_sync.config import load
from postamt_sync.config.stack_settings import SealSettings
from postamt_sync.errors import ExitCode

_NOT_COUNTED = (
    "US dollars in us-east-1, without tax, beyond AWS's monthly free tier. Not counted: a hosted "
    "zone in Route 53, reading mail that was moved to IA or Glacier IR, and the first import of an "
    "archive."
)
_UNVERIFIED = "~ This price, or the free amount, was not checked in AWS's own price list."
_READING = 10.0
"""Hours of webmail use a month, unless the person says how many."""
_LARGEST_MAIL_KB = 40 * 1024


def cost(
    mails_per_day: Annotated[
        float,
        typer.Option(
            "--mails-per-day", metavar="N", min=0, max=1e7, help="Mails received, on average."
        ),
    ],
    mail_kb: Annotated[
        float,
        typer.Option(
            "--mail-kb",
            metavar="KB",
            min=0.1,
            max=_LARGEST_MAIL_KB,
            help="Average size of a mail.",
        ),
    ] = 75,
    years: Annotated[
        float,
        typer.Option(
            "--years", metavar="N", min=0.1, max=100, help="How old the archive is by then."
        ),
    ] = 1,
    sent_per_day: Annotated[
        float,
        typer.Option("--sent-per-day", metavar="N", min=0, max=1e7, help="Mails sent, on average."),
    ] = 0,
    webmail_hours: Annotated[
        float | None,
        typer.Option(
            "--webmail-hours",
            metavar="N",
            min=0,
            max=744,
            help="Hours a month that the webmail is used.",
            show_default=False,
        ),
    ] = None,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Include sealing mail at rest, as with [seal].")
    ] = False,
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Show what AWS will charge a month, item by item.

    Works offline and needs no configuration: it assumes a webhook, and a poll of
    the recent mail every five minutes. With --config it takes these from there.
    The webmail is included with --webmail-hours, or if [webmail] is enabled (then
    with 10 hours of use); sealing with --sealed, or if [seal] has keys. "once" is
    what is charged when sealing begins with an archive of that age. "spared" is
    what polls would cost if each listed the whole archive.

    \b
    Examples:
      postamt-sync bootstrap cost --mails-per-day 100
      postamt-sync bootstrap cost --mails-per-day 300 --mail-kb 200 --years 10
      postamt-sync bootstrap cost --mails-per-day 100 --json | jq .usd
    """
    usage = Usage(
        *(mails_per_day, mail_kb, years, sent_per_day),
        webmail_hours=webmail_hours,
        plain_days=_plain_days(SealSettings()) if sealed else None,
    )
    if config is not None:
        settings = load(config)
        usage = Usage(
            *(mails_per_day, mail_kb, years, sent_per_day),
            poll_seconds=settings.poll.interval,
            webhook=settings.webhook is not None,
            recent=bool(settings.bucket.recent_prefix),
            webmail_hours=_READING
            if webmail_hours is None and settings.webmail.enabled
            else webmail_hours,
            plain_days=_plain_days(settings.seal) if sealed or settings.seal.enabled else None,
        )
    expected = bill(usage)
    if json:
        print_json(expected.as_json())
    else:
        show(expected, open_console())
    return ExitCode.OK


def _plain_days(seal: SealSettings) -> int:
    return longest_plain(seal.after, seal.undo)


def show(expected: Bill, console: Console) -> None:
    """Print the bill for people, whatever the width of the terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True)
    table.add_column("Service", footer="Month")
    table.add_column("What")
    table.add_column("Quantity", justify="right")
    table.add_column("", footer="")
    table.add_column("USD", justify="right", footer=f"{expected.usd:.2f}")
    for item in expected.items:
        _add(table, item, _usd(item.usd))
    for item in expected.spared:
        _add(table, item, f"spared {_usd(item.usd)}")
    for item in expected.once:
        _add(table, item, f"once {_usd(item.usd)}")
    console.print(table)
    console.print()
    for item in (*expected.items, *expected.spared, *expected.once):
        if item.note:
            paragraph(console, f"{item.service}, {item.what}: {item.note}")
    paragraph(console, _UNVERIFIED)
    paragraph(console, _NOT_COUNTED)


def _add(table: Table, item: BillItem, usd: str) -> None:
    mark = "" if item.price.verified else "~"
    table.add_row(item.service, item.what, _quantity(item.quantity), item.unit, f"{mark}{usd}")


def _quantity(quantity: float) -> str:
    return f"{quantity:,.0f}" if quantity >= 100 else f"{quantity:.2f}"


def _usd(usd: float) -> str:
    return "0" if usd == 0 else "<0.01" if usd < 0.005 else f"{usd:.2f}"
