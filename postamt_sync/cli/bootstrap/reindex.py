"""`postamt-sync bootstrap reindex`: adds existing mail to the index and the lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from postamt_sync.aws import prices
from postamt_sync.aws.prices import Price
from postamt_sync.cli.bootstrap.stack import Opened, agreed, opened
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.options import ConfigPath, Debug, Yes
from postamt_sync.errors import ExitCode, MisconfiguredError
from postamt_sync.index.lists import HandedVersion
from postamt_sync.index.reindex import Backlog, Reindex
from postamt_sync.index.stored_head import FIRST_READ
from postamt_sync.mail.sent_mail import OUTBOX_PREFIX, SENT_PREFIX
from postamt_sync.quantities import count

_WRITES = 14
"""Write units for a mail, roughly: its item and lines, each twice because of the transaction."""
_GETS: dict[str, tuple[Price, Price | None]] = {
    "STANDARD_IA": (prices.S3_INFREQUENT_GET, prices.S3_INFREQUENT_READ_GB),
    "GLACIER_IR": (prices.S3_ARCHIVE_GET, prices.S3_ARCHIVE_READ_GB),
}
"""By storage class: the price of a GET, and of reading a gigabyte."""


def reindex(
    yes: Yes = False,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """List mail that is already in the bucket, for the webmail.

    For mail that came before there was an index or lists, and after a change of who
    gets what. Reads the beginning of each mail that the index knows too little of;
    envelopes in the index are kept. Says first what it will cost. Safe to interrupt
    and to run again at any time: it goes on where it ended. Run it with an
    administrator's credentials, after apply.

    \b
    Examples:
      postamt-sync bootstrap reindex
      postamt-sync bootstrap reindex --yes
    """
    console = open_console()
    account = opened(config, None)
    account.introduce(console)
    work = _work(account)
    handed = _handed(account, work)
    with _progress("looking") as show:
        backlog = work.look(handed, lambda done: show(done, None))
    if backlog.left:
        _announce(backlog, console)
        agreed("Do it?", yes=yes)
        with _progress("listing") as show:
            changed = work.carry_out(backlog, lambda done: show(done, len(backlog.left)))
    else:
        changed = 0
    if backlog.left or not handed.filled:
        work.finish(backlog)
    if backlog.left:
        console.print(f"Done: {count(changed, 'mail')} listed.")
    else:
        console.print(f"Nothing to do: {count(backlog.mails, 'mail')} listed already.")
    return ExitCode.OK


def _work(account: Opened) -> Reindex:
    stack, aws = account.stack, account.aws
    return Reindex(
        aws.client("dynamodb"),
        aws.client("s3"),
        index=stack.table,
        lists=stack.lists,
        bucket=stack.bucket,
        prefix=stack.prefix,
        passed_over=() if stack.prefix else _no_mail(stack.recent_prefix),
        kms=aws.client("kms") if stack.kms else None,
    )


def _no_mail(recent_prefix: str) -> tuple[str, ...]:
    """Return the prefixes of the bucket that hold no received mail, or only second copies of it."""
    return tuple(filter(None, (recent_prefix, SENT_PREFIX, OUTBOX_PREFIX)))


def _handed(account: Opened, work: Reindex) -> HandedVersion:
    """Return the handed-over routes; raise MisconfiguredError if the configuration has others."""
    handed = work.handed()
    if handed is None or handed.routes != account.stack.handed:
        which = "was not handed over yet" if handed is None else "has changed since"
        raise MisconfiguredError(
            f"Who gets what {which}.", "Hand it over first: postamt-sync bootstrap apply"
        )
    return handed


def _announce(backlog: Backlog, console: Console) -> None:
    reads = backlog.reads
    console.print()
    paragraph(
        console,
        f"To be listed: {len(backlog.left):,} of {count(backlog.mails, 'mail')}. That takes "
        f"{count(len(reads), 'GET')} of up to {FIRST_READ >> 10} KB, the beginnings of mails, and "
        f"{count(len(backlog.left), 'transaction')} of DynamoDB: {_words(_usd(backlog))} USD.",
    )
    costly = sum(one.storage_class in _GETS for one in reads)
    if costly:
        paragraph(
            console,
            f"{count(costly, 'mail')} of them {'lies' if costly == 1 else 'lie'} in IA or Glacier "
            "IR, where a GET costs more.",
        )
    console.print()


def _usd(backlog: Backlog) -> float:
    """Return roughly what it costs, at most."""
    total = prices.DYNAMODB_WRITE.of(_WRITES * len(backlog.left))
    for one in backlog.reads:
        get, gigabyte = _GETS.get(one.storage_class, (prices.S3_GET, None))
        total += get.of(1)
        if gigabyte is not None:
            total += gigabyte.of(min(one.size, FIRST_READ) / 1024**3)
    return total


def _words(usd: float) -> str:
    return "less than 0.01" if usd < 0.01 else f"about {usd:.2f}"


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar, on a terminal."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
