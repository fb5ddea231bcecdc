"""`postamt-sync verify`: compares bucket, index, ledger and Maildirs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from postamt_sync.app.open_bucket import open_bucket
from postamt_sync.bucket import Bucket
from postamt_sync.cli.console import open_console
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.cli.printed_json import print_json
from postamt_sync.config import load
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.events import printable
from postamt_sync.index.client import open_index
from postamt_sync.ledger import Ledger
from postamt_sync.quantities import count
from postamt_sync.recovery.difference import Compared, Difference, DifferenceKind
from postamt_sync.recovery.verify import Comparison


def verify(
    content: Annotated[
        bool, typer.Option("--content", help="Read every file and compare its SHA-256 too.")
    ] = False,
    except_: Annotated[
        list[str] | None,
        typer.Option(
            "--except", metavar="KIND", help="Leave out a kind, such as missing; may be repeated."
        ),
    ] = None,
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Compare bucket, index, ledger and Maildirs, and list every difference.

    Changes nothing, except that what it lists as absent counts as looked at, so
    status no longer points it out. Works beside a running daemon. Exits 0 if there
    is no difference, else 3. Mail that its owner deleted at home is "missing" here
    (or "absent", if the ledger was rebuilt): leave it out with --except. Mailboxes
    that get their mail over LMTP are left out, because Dovecot names their files.

    \b
    unknown      in the bucket, unknown to the ledger: the next reconcile adds it
    waiting      not delivered for 15 minutes or more: see postamt-sync status
    archived     in Glacier, never delivered: postamt-sync restore
    absent       not in this mailbox when the ledger was rebuilt, and older than
                 what was: deleted, or never delivered: postamt-sync restore
    missing      delivered, no longer at home: postamt-sync restore
    quarantined  cannot be delivered: postamt-sync quarantine
    damaged      the file is not what was delivered: postamt-sync redeliver
    changed      the content in the bucket is not what the ledger knows
    gone         no longer in the bucket
    stray        a file with a name of ours that belongs to no object
    away         a Maildir that is not there: mount its disk
    unindexed    the index has no envelope for it
    undelivered  a mailbox in its envelope got no copy:
                 postamt-sync restore --only undelivered

    \b
    Examples:
      postamt-sync verify
      postamt-sync verify --except missing --except absent
      postamt-sync verify --content --json | jq .counts
    """
    left_out = _kinds(except_ or [])
    settings = load(config)
    ledger = Ledger.open_existing(settings.state_dir)
    console = open_console(errors=True)
    try:
        bucket = open_bucket(settings)
        with console.status("comparing") as status:

            def watch(so_far: Compared) -> None:
                status.update(f"comparing: {count(so_far.objects, 'object')}")

            comparison = Comparison(
                settings, ledger, bucket, open_index(settings), content=content, watch=watch
            )
            found = asyncio.run(_compare(bucket, comparison))
        shown = [d for d in found if d.kind not in left_out]
        if json:
            print_json(as_json(comparison.counted, shown))
        else:
            print(as_text(comparison.counted, shown))
        ledger.absences.looked_at({d.mail for d in shown if d.kind is DifferenceKind.ABSENT})
    finally:
        ledger.close()
    return ExitCode.FINDINGS if shown else ExitCode.OK


async def _compare(bucket: Bucket, comparison: Comparison) -> list[Difference]:
    async with bucket:
        return await comparison.run()


def _kinds(words: Sequence[str]) -> set[DifferenceKind]:
    for word in words:
        if word not in set(DifferenceKind):
            raise UsageError(
                f"There is no such kind of difference: {printable(word)!r}.",
                f"Name one of: {', '.join(DifferenceKind)}.",
            )
    return {DifferenceKind(word) for word in words}


def as_json(counted: Compared, found: Sequence[Difference]) -> dict[str, Any]:
    """Return one object: what was compared, the number of each kind, and every difference."""
    counts = Counter(str(d.kind) for d in found)
    return {
        "objects": counted.objects,
        "files": counted.files,
        "adopted": counted.adopted,
        "under_way": counted.under_way,
        "counts": {str(kind): counts[kind] for kind in DifferenceKind},
        "differences": [
            {
                "kind": str(d.kind),
                "key": d.key or None,
                "mail": d.mail or None,
                "mailbox": d.mailbox or None,
                "path": d.path or None,
                "detail": d.detail or None,
            }
            for d in found
        ],
    }


def as_text(counted: Compared, found: Sequence[Difference]) -> str:
    """Return a line for each difference, and a summary."""
    lines = [_line(d) for d in found]
    objects, files = count(counted.objects, "object"), count(counted.files, "file")
    compared = f"{objects} and {files} compared"
    if counted.under_way:
        compared += f", {count(counted.under_way, 'mail')} under way"
    if counted.adopted:
        compared += f", {counted.adopted} left out on purpose"
    counts = Counter(d.kind for d in found)
    differ = ", ".join(f"{counts[kind]} {kind}" for kind in DifferenceKind if counts[kind])
    return "\n".join([*lines, f"{compared}: {differ or 'no difference'}."])


def _line(d: Difference) -> str:
    parts = [d.key or d.path, d.mailbox and f"({d.mailbox})", d.path if d.key else "", d.detail]
    return f"{d.kind:<12} " + " ".join(printable(part, 1024) for part in parts if part)
