"""Hints that fit the way we run: under systemd no ~/.aws is read, keys have a file of their own.

Texts are written for whoever runs us by hand; `as_it_runs` puts the other places in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_AGAIN = "and restart it: sudo systemctl restart postamt-sync"
_KEYS = "/etc/postamt-sync/credentials"
_ENVIRONMENT = "the service's environment (sudo systemctl edit postamt-sync)"
_UNDER_SYSTEMD = (
    # The longest first.
    (
        "~/.aws/credentials of the user we run as, or into the service's environment",
        f"{_KEYS}, {_AGAIN}",
    ),
    ("~/.aws/credentials of the user we run as, and restart", f"{_KEYS}, {_AGAIN}"),
    ("~/.aws/credentials again as AWS showed it, and restart", f"{_KEYS} again, {_AGAIN}"),
    ("~/.aws/credentials", _KEYS),
    ("~/.aws/config of the user we run as", _ENVIRONMENT),
    ("~/.aws/config", _ENVIRONMENT),
)


def as_it_runs(hint: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a hint with the places that this process looks at."""
    if is_service(environ):
        for place, instead in _UNDER_SYSTEMD:
            hint = hint.replace(place, instead)
    return hint


def is_service(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether systemd runs us, with the credentials of our unit.

    What systemd tells of a service is inherited by whatever is started from it, a terminal perhaps,
    but for the number of its process and the place of its credentials.
    """
    return (
        "CREDENTIALS_DIRECTORY" in environ
        or environ.get("AWS_SHARED_CREDENTIALS_FILE", "").startswith("/run/credentials/")
        or environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())
    )
