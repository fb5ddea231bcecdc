"""Names for buckets, which all accounts share but where each has a namespace of its own."""

from __future__ import annotations

import secrets

from postamt_sync.aws.regions import WITHOUT_OWN_NAMESPACE


def usual_bucket(name: str, account: str, region: str) -> str:
    """Return the bucket's name in the account's own regional namespace, where nobody snipes it."""
    return f"{name}-{account}-{region}-an"


def new_bucket(name: str, account: str, region: str) -> str:
    """Return a name for a bucket that is still to be made.

    Where the account has no namespace of its own, the name has a part that nobody guesses, and is
    another at each call: whoever asks keeps it.
    """
    if region in WITHOUT_OWN_NAMESPACE:
        return f"{name}-{secrets.token_hex(8)}"
    return usual_bucket(name, account, region)
