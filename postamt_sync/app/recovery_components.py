"""A rebuild of the ledger and a restore of mail, each made of one configuration."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from postamt_sync.app.components import make_courier, make_scanner
from postamt_sync.app.open_bucket import UNSEALED
from postamt_sync.bucket import Bucket, OpenedPlace, SealedPlace
from postamt_sync.config import Settings
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import Source
from postamt_sync.recovery.gpg import Gpg
from postamt_sync.recovery.rebuild import LedgerRebuild
from postamt_sync.recovery.restore import Restore, RestoreProgress
from postamt_sync.recovery.sealed_restore import SealedRestore

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def make_rebuild(
    settings: Settings, bucket: Bucket, events: Events, *, anew: bool
) -> LedgerRebuild:
    """Return a rebuild of the ledger by hand."""

    async def take_in_listing(ledger: Ledger) -> int:
        scanner = make_scanner(settings, ledger, bucket, events)
        listed = (await scanner.everything(Source.RECONCILE)).listed
        if settings.webmail.enabled:
            listed += (await scanner.sent(Source.RECONCILE)).listed
        return listed

    return LedgerRebuild(settings, bucket, take_in_listing, events, anew=anew)


def make_restore(
    settings: Settings,
    ledger: Ledger,
    bucket: Bucket,
    client: S3Client,
    events: Events,
    watch: Callable[[RestoreProgress], None] = lambda _: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    environ: Mapping[str, str] = os.environ,
) -> Restore:
    """Return a restore of mail that is not at home any more; `environ` is for gpg."""

    async def deliver_due() -> None:
        await make_courier(settings, ledger, bucket, events).run(until_idle=True)

    place = OpenedPlace(settings.state_dir / UNSEALED)
    bucket.opened = place
    sealed_place = SealedPlace(*settings.sealed_place)
    work = Restore(settings, ledger, bucket, client, deliver_due, events, watch=watch, sleep=sleep)
    work.sealed = SealedRestore(ledger, bucket, sealed_place, place, Gpg(environ=environ), events)
    return work
