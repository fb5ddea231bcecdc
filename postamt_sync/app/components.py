"""The parts that a single pass, a rebuild and a restore need, each made of one configuration.

The daemon's are put together of these and others in `daemon_components.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from postamt_sync.app.open_bucket import UNSEALED
from postamt_sync.bucket import Bucket, OpenedPlace, SealedPlace
from postamt_sync.config import LiveSettings, Settings
from postamt_sync.delivery.courier import Courier
from postamt_sync.delivery.destinations import LiveDestinations
from postamt_sync.delivery.fetcher import Heard, nobody_listens
from postamt_sync.delivery.pending_mail import StepObserver, no_observer
from postamt_sync.events import Events
from postamt_sync.index.client import Index
from postamt_sync.index.lookups import IndexLookups
from postamt_sync.intake.scanner import Scanner, as_found
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import Source
from postamt_sync.recovery.gpg import Gpg
from postamt_sync.recovery.rebuild import LedgerRebuild
from postamt_sync.recovery.restore import Restore, RestoreProgress
from postamt_sync.recovery.sealed_restore import SealedRestore
from postamt_sync.status.header_memory import HeaderMemory

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def make_courier(
    settings: Settings,
    ledger: Ledger,
    bucket: Bucket,
    events: Events,
    observer: StepObserver = no_observer,
    heard: Heard = nobody_listens,
) -> Courier:
    """Return who delivers what is due, to the configured mailboxes."""
    destinations = LiveDestinations(LiveSettings(settings), ledger.work)
    courier = Courier(ledger, bucket, destinations.current, events, observer=observer, heard=heard)
    courier.look_for_sealed(partial(is_sealed, settings, bucket))
    return courier


async def is_sealed(settings: Settings, bucket: Bucket, key: str) -> bool:
    """Tell whether a sealed object stands for a key; raises what listing the bucket raises."""
    return bool(await SealedPlace(*settings.sealed_place).sealed_of(bucket, key))


def make_header_memory(settings: Settings, ledger: Ledger) -> HeaderMemory:
    """Return who remembers what people know the mail of a single pass by."""
    live = LiveSettings(settings)
    return HeaderMemory(live, ledger.headers, LiveDestinations(live, ledger.work).current)


def make_lookups(
    live: LiveSettings,
    ledger: Ledger,
    index: Index | None,
    events: Events,
    wake: Callable[[], None] = lambda: None,
) -> IndexLookups | None:
    """Return who asks the index for envelopes, None where there is no index."""
    if index is None:
        return None
    return IndexLookups(index, ledger, events, grace=live.envelope_grace, wake=wake)


def make_scanner(
    settings: Settings,
    ledger: Ledger,
    bucket: Bucket,
    events: Events,
    lookups: IndexLookups | None = None,
) -> Scanner:
    """Return who compares listings with the ledger, and asks the index where there is one."""
    prefixes = settings.bucket.prefix, settings.bucket.recent_prefix
    complete = lookups.complete if lookups else as_found
    sealed = SealedPlace(*settings.sealed_place)
    return Scanner(bucket, ledger, events, *prefixes, complete, sealed)


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
