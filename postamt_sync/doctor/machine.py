"""Asking the programs of this machine: systemd and Dovecot."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable
from postamt_sync.host.dovecot.description import FOUND_IN

SECONDS = 10.0


def systemctl(*arguments: str) -> str:
    """Return what systemctl prints; "" where it cannot be asked."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            ["systemctl", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def doveadm_user(name: str, command: Sequence[str] = ()) -> str | None:
    """Return what Dovecot knows of a mailbox; None where there is no Dovecot, or it does not run.

    `command` is doveadm with its options, otherwise the installed one. Raises PermissionError where
    only root may ask, TryLaterError where Dovecot knows no such mailbox.
    """
    if not command:
        program = shutil.which("doveadm") or shutil.which("doveadm", path=FOUND_IN)
        if program is None:
            return None
        command = (program,)
    done = subprocess.run(  # noqa: S603 - a program that was looked up, no shell
        [*command, "user", name], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    said = f"{done.stdout}\n{done.stderr}"
    if done.returncode == 0:
        return done.stdout
    if "ermission denied" in said:
        raise PermissionError
    if "doesn't exist" in said or "lookup: user" in said:
        raise TryLaterError(
            f"Dovecot knows no mailbox {printable(name)}.",
            "Write its lists again: sudo postamt-sync dovecot --write",
        )
    if "No such file or directory" in said or "onnection refused" in said:
        return None
    raise TryLaterError(
        f"Dovecot does not say where it reads: {printable(said.strip(), 200)}.",
        "Look at: doveconf -n",
    )
