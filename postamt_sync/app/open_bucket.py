"""The configured bucket: where it is, how much of the line it may take, and what opens its mail."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from postamt_sync.aws.clients import kms_client, lazy_session, lean_session
from postamt_sync.bucket import Bucket, DataKeys, OpenedPlace
from postamt_sync.bucket.bandwidth import Bandwidth
from postamt_sync.config import LiveSettings, Settings

if TYPE_CHECKING:
    import boto3

UNSEALED = "unsealed"
"""Where in the state directory a restore puts the mail that its owner has opened."""


def open_bucket(
    settings: Settings, session: boto3.Session | None = None, live: LiveSettings | None = None
) -> Bucket:
    """Return the configured bucket, which is still to be entered; `live` may change its limit."""
    in_force = live or LiveSettings(settings)
    region = settings.aws.region
    session = session or lazy_session(partial(lean_session, region))
    keys = DataKeys(kms_client(session, region)) if settings.bucket.kms else None
    bucket = Bucket(
        settings.bucket.name,
        region,
        session=session,
        bandwidth=Bandwidth(lambda: in_force.current.bucket.limit),
        data_keys=keys,
    )
    bucket.opened = OpenedPlace(settings.state_dir / UNSEALED)
    return bucket
