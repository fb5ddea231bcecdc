"""Bucket names: shared by all accounts, except in regions with a namespace for each account."""

from __future__ import annotations

import secrets

from postamt_sync.aws.regions import WITHOUT_OWN_NAMESPACE


def usual_bucket(name: str, account: str, region: str) -> str:
    """Return the name in the account's own regional namespace, where nobody else can take it."""
    return f"{name}-{account}-{region}-an"


def new_bucket(name: str, account: str, region: str) -> str:
    """Return a name for a bucket that does not exist yet.

    In a region without account namespaces the name has a random part, different on each call, so
    the caller must keep it.
    """
    if region in WITHOUT_OWN_NAMESPACE:
        return f"{name}-{secrets.token_hex(8)}"
    return usual_bucket(name, account, region)
