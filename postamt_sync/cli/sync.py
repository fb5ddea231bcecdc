"""`postamt-sync sync`: one pass over the bucket."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import typer

from postamt_sync.app.memory import give_back_large_blocks, loaded_left_alone
from postamt_sync.app.open_bucket import open_bucket
from postamt_sync.app.sync import SyncOptions, SyncResult, SyncRun
from postamt_sync.cli.in_force import complete
from postamt_sync.cli.options import ConfigPath, Debug, DryRun, Json
from postamt_sync.cli.printed_json import print_error, print_json
from postamt_sync.cli.progress import PassProgress
from postamt_sync.config import Settings, load
from postamt_sync.config.byte_rate import shown_rate
from postamt_sync.errors import ExitCode, TryLaterError, UsageError
from postamt_sync.events import Events, printable
from postamt_sync.host.service.user import refuse_root
from postamt_sync.index.client import open_index
from postamt_sync.ledger import Ledger
from postamt_sync.logs import configure_logging
from postamt_sync.quantities import size_in_words

STOPPED = ("Stopped before the end.", "The next pass goes on from here.")
_DURATION = re.compile(r"(\d{1,6})\s*(m|h|d|w)", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def sync(
    config: ConfigPath = None,
    dry_run: DryRun = False,
    mark_delivered: Annotated[
        bool,
        typer.Option(
            "--mark-delivered", help="Consider all mail in the bucket delivered; fetch nothing."
        ),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DATE|DURATION",
            help="Deliver only what S3 stored since then (2026-10-01, 30d, 12h); "
            "older mail counts as delivered.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> ExitCode:
    """Go through the bucket once, deliver what is new, and exit.

    For cron, for the first import of an existing bucket, or to see what would
    happen. Safe to interrupt: the next pass goes on where this one ended. Exits
    0 if all mail is delivered, 1 if some could not be, 75 to try again later (also
    if another pass is under way), 78 if credentials, region or bucket are wrong.

    \b
    Examples:
      postamt-sync sync --dry-run
      postamt-sync sync --since 30d
      postamt-sync sync --json 2>/dev/null | jq .delivered
    """
    try:
        options = _options(dry_run, mark_delivered, since)
        settings = load(config)
        refuse_root(settings, "sync")
        with PassProgress(enabled=not json) as progress:
            events = configure_logging(level=_level(debug, progress.on_terminal), words=complete)
            bucket = open_bucket(settings)
            index = None if dry_run else open_index(settings)
            work = SyncRun(
                settings,
                events,
                bucket,
                options,
                progress.show,
                index=index,
                drain=partial(_drain, settings, events),
            )
            give_back_large_blocks()
            with loaded_left_alone():
                result = asyncio.run(_until_told_to_stop(work))
    except KeyboardInterrupt:
        if json:  # `main` does not know that the next pass goes on from here
            print_error(*STOPPED)
        raise
    if json:
        print_json(as_json(result), indent=None)
    else:
        print(as_text(result))
    if result.error is not None and not json:
        raise result.error  # `main` prints it, on standard error
    return exit_code(result)


async def _until_told_to_stop(work: SyncRun) -> SyncResult:
    """Run the pass. SIGTERM (a drained node, a job's deadline) ends it like Ctrl-C."""
    stopped = asyncio.Event()
    here = asyncio.current_task()
    assert here is not None

    def stop() -> None:
        stopped.set()
        here.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        return await work.run()
    except asyncio.CancelledError:
        if stopped.is_set():
            raise TryLaterError(*STOPPED) from None
        raise


async def _drain(settings: Settings, events: Events, ledger: Ledger) -> None:
    if settings.queue.url or settings.queue.dead_letter_url:
        # Signatures, certificates and SQS: a tenth of a start, for those who have a queue.
        from postamt_sync.intake.queues import drain_once  # noqa: PLC0415

        await drain_once(settings, ledger, events)


def _options(dry_run: bool, mark_delivered: bool, since: str | None) -> SyncOptions:
    if mark_delivered and since is not None:
        raise UsageError(
            "--mark-delivered takes everything for delivered, --since only what is older.",
            "Choose one of them.",
        )
    return SyncOptions(dry_run, mark_delivered, None if since is None else read_since(since))


def read_since(text: str) -> float:
    """Return the time (seconds since the epoch) of a date, a date with time, or a duration ago."""
    if match := _DURATION.fullmatch(text.strip()):
        return time.time() - timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds()
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.astimezone()).timestamp()
    except (ValueError, OverflowError):  # the second for a year out of range
        raise UsageError(
            f"--since {printable(text)} is neither a date nor a duration.",
            "Write a date (2026-10-01, 2026-10-01T12:00+02:00) or a duration (30d, 12h, 2w).",
        ) from None


def exit_code(result: SyncResult) -> ExitCode:
    """Return OK, UNDELIVERED if some mail could not be delivered, or the error's exit code."""
    if result.error is not None:
        return result.error.exit_code
    bad = result.totals.failed or result.totals.quarantined
    return ExitCode.UNDELIVERED if bad else ExitCode.OK


def as_json(result: SyncResult) -> dict[str, Any]:
    """Return one flat object: the counts, `bytes`, `seconds`, and `error` if there was one."""
    counts: dict[str, Any] = asdict(result.totals)
    counts |= {"bytes": result.bytes, "seconds": round(result.seconds, 3)}
    if result.dry_run:
        counts["dry_run"] = True
    if result.error is not None:
        error = result.error
        counts |= {"error": complete(error.problem), "hint": complete(error.hint)}
    return counts


def as_text(result: SyncResult) -> str:
    """Return the result in a sentence or two."""
    totals = result.totals
    parts = [
        f"{number} {word}" for word, number in asdict(totals).items() if number and word != "listed"
    ]
    said = f"{totals.listed} listed" + (": " + ", ".join(parts) if parts else "") + "."
    if result.dry_run:
        return f"{said}\nNothing was done; waiting mail would be fetched now."
    speed = ""
    if result.bytes and result.seconds:
        limited = f", limited to {shown_rate(result.limit)}" if result.limit else ""
        speed = f" {shown_rate(result.bytes / result.seconds)} on average{limited}."
    took = timedelta(seconds=round(result.seconds))
    lines = [f"{said} {size_in_words(result.bytes)} in {took}.{speed}"]
    if totals.failed or totals.quarantined:
        lines.append(complete("Why some mail could not be delivered: postamt-sync status"))
    return "\n".join(lines)


def _level(debug: bool, bar_is_shown: bool) -> str:
    if debug:
        return "debug"
    # A progress bar and a line per mail do not mix; warnings still appear above the bar.
    return "warning" if bar_is_shown or not sys.stderr.isatty() else "info"
