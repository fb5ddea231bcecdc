"""Adapts hints to how we run: under systemd, ~/.aws is not read, and keys have their own file.

Hints are written for somebody who runs us by hand; `as_it_runs` replaces the places that differ.
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
    """Return the hint with the places where this process really looks."""
    if is_service(environ):
        for place, instead in _UNDER_SYSTEMD:
            hint = hint.replace(place, instead)
    return hint


def is_service(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether we run as our systemd unit, with its credentials.

    Programs started from a service, such as a terminal, inherit most variables that systemd sets,
    but not a matching process id and not the place of its credentials.
    """
    return (
        "CREDENTIALS_DIRECTORY" in environ
        or environ.get("AWS_SHARED_CREDENTIALS_FILE", "").startswith("/run/credentials/")
        or environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())
    )
