"""`postamt-sync restore [KEY ...]`: brings back from S3 what is missing at home."""

from __future__ import annotations

import asyncio
import enum
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from postamt_sync.app.open_bucket import open_bucket
from postamt_sync.app.recovery_components import make_restore
from postamt_sync.aws.clients import new_session, s3_client
from postamt_sync.bucket import Bucket, SealedPlace
from postamt_sync.cli.in_force import complete
from postamt_sync.cli.options import ConfigPath, Debug, Json, Yes
from postamt_sync.cli.printed_json import print_json
from postamt_sync.config import Settings, load
from postamt_sync.errors import ExitCode, TryLaterError, UsageError
from postamt_sync.events import Events, printable
from postamt_sync.host.service.user import refuse_root
from postamt_sync.ledger import Ledger
from postamt_sync.logs import configure_logging
from postamt_sync.quantities import count, size_in_words
from postamt_sync.recovery.difference import Difference, DifferenceKind
from postamt_sync.recovery.restore import RESTORABLE, RestoreProgress
from postamt_sync.recovery.restore_cost import HOURS, estimate, total
from postamt_sync.recovery.verify import Comparison


class Tier(enum.StrEnum):
    """S3's retrieval tiers."""

    BULK = "Bulk"
    STANDARD = "Standard"
    EXPEDITED = "Expedited"


class Only(enum.StrEnum):
    """What can be brought back."""

    MISSING = DifferenceKind.MISSING.value
    ABSENT = DifferenceKind.ABSENT.value
    ARCHIVED = DifferenceKind.ARCHIVED.value
    UNDELIVERED = DifferenceKind.UNDELIVERED.value
    SEALED = DifferenceKind.SEALED.value


def restore(
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY]...",
            help="S3 keys, their last parts, or mail ids; without any, all that is missing.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        Only | None, typer.Option("--only", help="Of all that is missing, only this kind.")
    ] = None,
    tier: Annotated[
        Tier, typer.Option("--tier", help="How fast S3 retrieves archived mail.")
    ] = Tier.BULK,
    days: Annotated[
        int,
        typer.Option(
            "--days", metavar="N", min=1, max=365, help="Days for which it stays readable in S3."
        ),
    ] = 7,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and what it costs.")
    ] = False,
    yes: Yes = False,
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,
) -> ExitCode:
    """Bring back mail that is in S3 and not at home.

    Missing mail was delivered, but is no longer in any folder (its owner may have
    deleted it). Absent mail was not at home when the ledger was rebuilt (what is
    shown here counts as looked at). Archived mail is in Glacier or Deep Archive: S3
    takes minutes to two days to make it readable. Undelivered mail, which a mailbox
    in its envelope never got, is restored only if its key or --only asks for it.
    Sealed mail, which may never have been at home, is opened by your own gpg: its
    agent asks once for a passphrase or card, and it needs the secret key or a way
    to it (GNUPGHOME, a forwarded agent). Says first what it costs. The next restore
    continues one that was interrupted. Existing copies are left alone; what comes
    back is a new file. Works beside a running daemon, which then delivers. Needs
    s3:RestoreObject for archived mail. Exits 0 if all is at home, else 1.

    \b
    Examples:
      postamt-sync restore --dry-run
      postamt-sync restore incoming/4k1s0v8q7p5n
      postamt-sync restore --only absent
      postamt-sync restore --only sealed
      postamt-sync restore --only archived --tier Standard --yes
    """
    settings = load(config)
    refuse_root(settings, "restore")
    events = configure_logging(level="debug" if debug else "error", words=complete)
    ledger = Ledger.open_existing(settings.state_dir)
    try:
        return asyncio.run(
            _Verb(settings, ledger, events, Console(stderr=True)).run(
                keys or [], only, (str(tier), days), dry_run=dry_run, yes=yes, json=json
            )
        )
    finally:
        ledger.close()


class _Verb:
    def __init__(
        self, settings: Settings, ledger: Ledger, events: Events, console: Console
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._events = events
        self._console = console

    async def run(
        self,
        keys: Sequence[str],
        only: Only | None,
        how: tuple[str, int],
        *,
        dry_run: bool,
        yes: bool,
        json: bool,
    ) -> ExitCode:
        settings = self._settings
        async with open_bucket(settings) as bucket:
            found = [
                d
                for d in await self._missing(bucket, keys)
                if d.kind in RESTORABLE and _is_wanted(d, only, keys)
            ]
            open_orders = {o.mail for o in await asyncio.to_thread(self._ledger.restores.orders)}
            news = [d for d in found if d.mail not in open_orders]
            said = as_text(news, len(open_orders), *how)
            print(said, file=sys.stderr if json else sys.stdout)
            absent = {d.mail for d in found if d.kind is DifferenceKind.ABSENT}
            await asyncio.to_thread(self._ledger.absences.looked_at, absent)
            if dry_run or not (news or open_orders):
                if json:
                    print_json(as_json(news, *how))
                return ExitCode.OK
            if news and not yes:
                _ask()
            with self._console.status("restoring") as status:

                def watch(progress: RestoreProgress) -> None:
                    status.update(_progress(progress))

                work = make_restore(
                    settings, self._ledger, bucket, _client(settings), self._events, watch
                )
                progress = await work.run(news, *how)
        if json:
            print_json(as_json(news, *how) | asdict(progress), indent=None)
        else:
            print(_ended(progress))
        return ExitCode.UNDELIVERED if progress.delivered < progress.wanted else ExitCode.OK

    async def _missing(self, bucket: Bucket, keys: Sequence[str]) -> list[Difference]:
        comparison = Comparison(self._settings, self._ledger, bucket)
        if not keys:
            found = await comparison.run()
        else:
            plain_key = SealedPlace(*self._settings.sealed_place).plain_key
            known = [
                await asyncio.to_thread(self._ledger.repair.find, plain_key(key)) for key in keys
            ]
            found = [d for k in known for d in await comparison.run(k.key)]
            lacking = {d.mail for d in found if d.kind in RESTORABLE}
            for k in known:
                if k.mail not in lacking:
                    raise UsageError(
                        f"{printable(k.key)} is not missing, it is {k.state}.",
                        "For a second copy: postamt-sync redeliver",
                    )
        for d in found:
            if d.kind is DifferenceKind.AWAY:
                raise TryLaterError(
                    f"The Maildir of {d.mailbox} is not there: {d.path}.",
                    "Mount its disk. If it is gone for good: "
                    f"mkdir -p -m 700 {d.path}/{{tmp,new,cur}}",
                )
        return found


def _is_wanted(d: Difference, only: Only | None, keys: Sequence[str]) -> bool:
    if only is not None:
        return only.value == d.kind
    # A mailbox that was added later lacks all earlier mail, which nobody means by "all".
    return bool(keys) or d.kind is not DifferenceKind.UNDELIVERED


def _client(settings: Settings) -> Any:
    return s3_client(new_session(), settings.aws.region)


def _ask() -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            "Nobody is there to answer.", "Use --yes to bring this back, or --dry-run."
        )
    typer.confirm("Bring this back?", abort=True)


def as_json(found: Sequence[Difference], tier: str, days: int) -> dict[str, Any]:
    """Return what would be done, and its cost in US dollars."""
    lines = estimate(_each_mail(found), tier, days)
    return {
        "mails": [
            {"key": d.key, "mail": d.mail, "kind": str(d.kind), "storage_class": d.storage_class}
            for d in _each_mail(found)
        ],
        "cost_usd": round(total(lines), 4),
        "cost": [{"what": c.what, "usd": round(c.usd, 6), "verified": c.verified} for c in lines],
    }


def as_text(found: Sequence[Difference], ordered: int, tier: str, days: int) -> str:
    """Return, as text, what would be done and what it costs."""
    lines = [f"{count(ordered, 'mail')} requested earlier, still awaited."] if ordered else []
    mails = _each_mail(found)
    if not mails:
        return "\n".join([*lines, "Nothing else is missing." if ordered else "Nothing is missing."])
    kinds = Counter(str(d.kind) for d in mails)
    counts = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    size = size_in_words(sum(d.size for d in mails))
    lines.append(f"{count(len(mails), 'mail')} to bring back ({counts}), {size}:")
    costs = estimate(mails, tier, days)
    for cost in costs:
        mark = "" if cost.verified else "  (estimate)"
        lines.append(f"  {cost.usd:>9.4f} USD  {cost.what}{mark}")
    lines.append(f"  {total(costs):>9.4f} USD  in all, in us-east-1, without tax")
    for storage_class in sorted({d.storage_class for d in mails if d.locked}):
        hours = HOURS.get((storage_class, tier))
        if hours is None:
            raise UsageError(f"{storage_class} offers no {tier} retrieval.", "Use another --tier.")
        lines.append(f"{storage_class} takes {hours} ({tier}).")
    return "\n".join(lines)


def _each_mail(found: Sequence[Difference]) -> list[Difference]:
    return list({d.mail: d for d in found}.values())


def _progress(progress: RestoreProgress) -> str:
    asked = f", {progress.asked} asked for" if progress.asked else ""
    done = f"{progress.readable} readable, {progress.delivered} at home"
    return f"restoring {progress.wanted}{asked}: {done}"


def _ended(progress: RestoreProgress) -> str:
    failed = f" {progress.failed} failed: postamt-sync status" if progress.failed else ""
    return complete(f"{progress.delivered} of {count(progress.wanted, 'mail')} at home.{failed}")
