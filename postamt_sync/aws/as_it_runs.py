"""Names the places of AWS settings as we run: a systemd service reads no ~/.aws, and has its keys
in a file of their own.

Hints leave these places open, as {keys}, {give}, {config} and {restart}; `as_it_runs` fills them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class SettingsPlaces:
    """Where this process looks for its AWS settings.

    `keys` is the file that holds them, `give` where new ones may be put and what to do then,
    `config` where everything else stands, `restart` what to do after a change.
    """

    keys: str
    give: str
    config: str
    restart: str


_BY_HAND = SettingsPlaces(
    keys="~/.aws/credentials of the user we run as",
    give="~/.aws/credentials of the user we run as, or into the service's environment",
    config="~/.aws/config of the user we run as",
    restart="and restart",
)
_RESTART = "and restart it: sudo systemctl restart postamt-sync"
_AS_A_SERVICE = SettingsPlaces(
    keys="/etc/postamt-sync/credentials",
    give=f"/etc/postamt-sync/credentials, {_RESTART}",
    config="the service's environment (sudo systemctl edit postamt-sync)",
    restart=_RESTART,
)


def as_it_runs(hint: str, environ: Mapping[str, str] = os.environ, /, **facts: str) -> str:
    """Fill the places where this process really looks into a hint, and the other facts with them.

    Facts may be untrusted: placeholders within them stay as they are.
    """
    places = _AS_A_SERVICE if is_service(environ) else _BY_HAND
    return hint.format(**asdict(places), **facts)


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
