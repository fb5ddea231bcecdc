"""The configured bucket: where it is, and how much of the line it may take."""

from __future__ import annotations

import boto3

from postamt_sync.bucket import Bucket
from postamt_sync.bucket.bandwidth import Bandwidth
from postamt_sync.config import LiveSettings, Settings


def open_bucket(
    settings: Settings, session: boto3.Session | None = None, live: LiveSettings | None = None
) -> Bucket:
    """Return the configured bucket, which is still to be entered; `live` may change its limit."""
    in_force = live or LiveSettings(settings)
    return Bucket(
        settings.bucket.name,
        settings.aws.region,
        session=session,
        bandwidth=Bandwidth(lambda: in_force.current.bucket.limit),
    )
