"""`postamt-sync find WORDS`: where a mail is, and every stage of its way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Annotated

import typer

from postamt_sync.app.open_bucket import open_bucket
from postamt_sync.bucket import SealedPlace
from postamt_sync.cli.console import is_terminal, open_console
from postamt_sync.cli.found_mails import as_json, show
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.cli.printed_json import print_json
from postamt_sync.cli.sync import read_since
from postamt_sync.config import Settings, load
from postamt_sync.errors import ExitCode, PostamtError, UsageError
from postamt_sync.index.client import open_index
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.tracks import Word, read_word
from postamt_sync.status.bucket_search import BucketSearch
from postamt_sync.status.find import Find, FindResult

MOST = 5
LARGEST = 100_000
MOST_WORDS = 100
"""SQLite allows compound queries of at most 500 terms."""

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="WORDS",
        help="Sender, subject, address, Message-ID, key, mail id, day (2026-11-27) or time (14:05);"
        " a mail must have all of them.",
    ),
]


def find(
    words: Words,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="Only what S3 stored since then (2026-10-01, 30d, 12h).",
            show_default=False,
        ),
    ] = None,
    cloud: Annotated[
        bool, typer.Option("--cloud", help="Look into bucket and index too, for what never came.")
    ] = False,
    most: Annotated[
        int, typer.Option("--most", min=1, max=LARGEST, help="How many mails are shown.")
    ] = MOST,
    json: Json = False,
    config: ConfigPath = None,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Show where a mail is, and every stage of its way there, or why it is not there.

    Words are found anywhere in sender, recipient, subject and Message-ID, without
    regard to case or accents; quotes keep words together. Looks into the ledger and
    the Maildirs, beside a running daemon or without one, and changes nothing.

    \b
    Examples:
      postamt-sync find invoice müller
      postamt-sync find 'your order' --since 30d
      postamt-sync find anna@example.com 2026-11-27 --cloud
      postamt-sync find '<c3f1@mail.example.org>' --json | jq .mails[0].files
    """
    wanted = [word for word in map(read_word, dict.fromkeys(words)) if word.text]
    if not wanted:
        raise UsageError("There is nothing to look for.", "Name a sender, a subject, an address.")
    if len(wanted) > MOST_WORDS:
        raise UsageError(
            f"These are {len(wanted)} words, and a mail must have all of them.",
            f"Name the few that tell it from others, at most {MOST_WORDS}.",
        )
    moment = None if since is None else read_since(since)
    settings = load(config)
    console = open_console()
    if json or not (is_terminal() and is_terminal(errors=True)):
        result = _search(settings, wanted, moment, most, cloud=cloud)
    else:
        with open_console(errors=True).status("Looking …"):
            result = _search(settings, wanted, moment, most, cloud=cloud)
    if json:
        print_json(as_json(result, words))
    else:
        show(result, console, since=since is not None, cloud=cloud, most=most)
    return ExitCode.OK


def _search(
    settings: Settings, words: Sequence[Word], since: float | None, most: int, *, cloud: bool
) -> FindResult:
    ledger, problem = None, None
    try:
        ledger = Ledger.open_existing(settings.state_dir)
    except PostamtError as error:  # the Maildirs may still have it
        problem = error
    try:
        work = Find(settings, ledger, problem, words, since, most)
        try:
            work.at_home()
        except PostamtError as error:
            work.not_in("ledger", error)
        if cloud:
            asyncio.run(_in_cloud(settings, work, ledger, words, since))
        result = work.end()
    finally:
        if ledger is not None:
            ledger.close()
    if problem is not None and not any(looked.mails for looked in result.looked):
        raise problem  # there was nothing else to look at
    return result


async def _in_cloud(
    settings: Settings,
    work: Find,
    ledger: Ledger | None,
    words: Sequence[Word],
    since: float | None,
) -> None:
    prefixes = settings.bucket.prefix, settings.bucket.recent_prefix
    async with AsyncExitStack() as stack:
        try:
            bucket = await stack.enter_async_context(open_bucket(settings))
            sealed = SealedPlace(*settings.sealed_place)
            known = ledger.tracks.known if ledger is not None else lambda _: set()
            search = BucketSearch(bucket, *prefixes, known, sealed)
            work.in_bucket(await search.search(words, work.asked_of_bucket(), since))
        except PostamtError as error:
            work.not_in("bucket", error)
    try:
        index = open_index(settings)
        if index is not None and (keys := work.without_envelope()):
            work.in_index(await index.envelopes(keys), len(keys))
    except PostamtError as error:
        work.not_in("index", error)
