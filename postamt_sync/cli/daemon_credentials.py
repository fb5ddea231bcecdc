"""On the box, as root: the daemon's AWS credentials are in force where no others are named.

systemd hands them to the daemon alone. Who types `sudo postamt-sync doctor` means those, and an
administrator of AWS names others (AWS_PROFILE and the like).
"""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from postamt_sync.cli.setup_configuration import names_configuration
from postamt_sync.errors import CredentialsError, PostamtError
from postamt_sync.log_line import printable

FILE = Path("/etc/postamt-sync/credentials")
VARIABLE = "AWS_SHARED_CREDENTIALS_FILE"
AT_HOME = frozenset({"doctor", "find", "rebuild", "restore", "sync", "unseal", "verify"})
"""Verbs that ask AWS for what the daemon may ask."""
_NAMED = (
    *("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", VARIABLE, "AWS_CONFIG_FILE"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)


@contextmanager
def in_force(argv: Sequence[str], file: Path = FILE) -> Iterator[None]:
    """Let a verb take them, if it is root's, of the usual configuration, and nothing else is there
    to take."""
    meant = bool(argv) and argv[0] in AT_HOME and os.geteuid() == 0
    if not meant or names_configuration(argv) or not _are_alone(file):
        yield
        return
    os.environ[VARIABLE] = str(file)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)


def how_to_lend(error: PostamtError, file: Path = FILE) -> str:
    """Return what to type where there are no credentials but the daemon's, which are root's alone;
    "" elsewhere. What delivers runs as the owner of the Maildirs, who cannot read them."""
    if not isinstance(error, CredentialsError) or os.geteuid() == 0 or not _are_alone(file):
        return ""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""
    place = shlex.quote(printable(str(Path.home() / ".aws/credentials"), 4096))
    return (
        "The daemon's are root's alone. To lend them to this user, and take them back with rm: "
        f"sudo install -D -m 600 -o {shlex.quote(user)} {file} {place}"
    )


def _are_alone(file: Path) -> bool:
    """Tell whether the daemon's are there, and nothing names others."""
    if any(map(os.environ.get, _NAMED)):
        return False
    try:
        own = Path.home() / ".aws"
        named = any((own / name).exists() for name in ("config", "credentials"))
        return file.is_file() and not named
    except (OSError, RuntimeError):  # no home, or one that is closed
        return False
