"""On the box, root uses the daemon's AWS credentials unless others are named.

systemd hands them only to the daemon, but somebody who types `sudo postamt-sync doctor` means the
same ones. An administrator of AWS names others, with AWS_PROFILE for example.
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
"""Verbs that need no other rights at AWS than the daemon's."""
_NAMED = (
    *("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", VARIABLE, "AWS_CONFIG_FILE"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)


@contextmanager
def in_force(argv: Sequence[str], file: Path = FILE) -> Iterator[None]:
    """Let a verb use them if root runs it, with the usual configuration, and nothing names other
    credentials."""
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
    """Return what to type if there are only the daemon's credentials, which this user cannot read:
    verbs that deliver run as the owner of the Maildirs. "" in any other case."""
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
    """Whether the daemon's credentials exist, and nothing names others."""
    if any(map(os.environ.get, _NAMED)):
        return False
    try:
        own = Path.home() / ".aws"
        named = any((own / name).exists() for name in ("config", "credentials"))
        return file.is_file() and not named
    except (OSError, RuntimeError):  # no home, or one that we may not enter
        return False
