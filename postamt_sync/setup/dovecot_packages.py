"""Dovecot's packages on the box: installed with apt if there is one, else the person is told
how."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.events import printable
from postamt_sync.host.dovecot.description import FOUND_IN

SECONDS = 1800
"""The longest that a command may run: a Raspberry Pi with a slow card takes a while."""
UCF = Path("/var/lib/ucf/hashfile")
"""The hashes of the files that packages manage with ucf(1), as shipped."""
_LOCKED = re.compile(
    r"could not get lock|is another process using it|locked by another process", re.IGNORECASE
)
LOCK_PAUSE = 5.0
LOCK_ATTEMPTS = 60
"""Attempts, LOCK_PAUSE apart, while another apt is running: one left behind by a `join` that was
killed, or the machine's own on its first boot."""
_REMEDIES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (
        re.compile(r"dpkg was interrupted|returned an error code|received signal", re.IGNORECASE),
        ("dpkg", "--configure", "-a"),
    ),
    (
        re.compile(r"fix-broken|unmet dependencies", re.IGNORECASE),
        ("apt-get", "install", "--yes", "--fix-broken"),
    ),
    # There are no package lists, or they name packages that have been replaced since.
    (
        re.compile(
            r"unable to locate|no installation candidate|failed to fetch|unable to fetch",
            re.IGNORECASE,
        ),
        ("apt-get", "--quiet", "update"),
    ),
)
"""What apt says after an apt that was killed left something half done, or with old lists; and the
command that fixes it."""
_PASSES = re.compile(rf"{_LOCKED.pattern}|failed to fetch|temporary failure", re.IGNORECASE)


def wanted_packages(*, submission: bool) -> tuple[str, ...]:
    return ("dovecot-imapd", *(("dovecot-submissiond",) if submission else ()))


def missing_packages(packages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the packages that dpkg does not list as installed; without dpkg, all of them unless
    there is a Dovecot."""
    if shutil.which("dpkg-query") is None:
        return () if shutil.which("dovecot", path=FOUND_IN) else packages
    return tuple(name for name in packages if not _is_installed(name))


def install_packages(
    packages: tuple[str, ...], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Install the packages, first finishing what an apt that was killed left half done.

    Raises MisconfiguredError, with the command to type, if there is no apt or it fails, and
    TryLaterError if another apt keeps running or the packages cannot be fetched now.
    """
    command = ["apt-get", "install", "--yes", *packages]
    if shutil.which("apt-get") is None:
        raise MisconfiguredError(
            f"Dovecot is not installed, and there is no apt-get for {' and '.join(packages)}.",
            "Install Dovecot's imapd (and submissiond) as this system does, then join again.",
        )
    remedies = list(_REMEDIES)
    done = _run_alone(command, sleep)
    while done.returncode and (remedy := _remedy(done.stderr, remedies)) is not None:
        _run_alone(list(remedy), sleep)
        done = _run_alone(command, sleep)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        said = printable((lines or ["it said nothing"])[0], 200)
        kind = TryLaterError if _PASSES.search(done.stderr) else MisconfiguredError
        raise kind(
            f"Dovecot could not be installed: {said}",
            f"Type: sudo {' '.join(command)} and then join again.",
        )


def is_stock(path: Path) -> bool:
    """Whether a file in /etc/dovecot is as Debian shipped it. Its package leaves some files to dpkg
    and some to ucf."""
    done = _run(["dpkg-query", "--show", "--showformat=${Conffiles}\n", "dovecot-core"])
    try:
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        by_ucf = UCF.read_text(encoding="utf-8", errors="replace") if UCF.exists() else ""
    except OSError:
        return False
    pairs = [line.split()[:2] for line in (done.stdout + "\n" + by_ucf).splitlines()]
    return [str(path), digest] in pairs or [digest, str(path)] in pairs


def _is_installed(name: str) -> bool:
    done = _run(["dpkg-query", "--show", "--showformat=${db:Status-Status}", name])
    return done.returncode == 0 and done.stdout.strip() == "installed"


def _remedy(
    said: str, remedies: list[tuple[re.Pattern[str], tuple[str, ...]]]
) -> tuple[str, ...] | None:
    """Remove from `remedies` the first one that fits apt's message, and return its command."""
    for number, (words, _) in enumerate(remedies):
        if words.search(said):
            return remedies.pop(number)[1]
    return None


def _run_alone(
    command: list[str], sleep: Callable[[float], None]
) -> subprocess.CompletedProcess[str]:
    """Run it as soon as no other apt is running; give up after some minutes."""
    done = _run(command)
    for _ in range(LOCK_ATTEMPTS):
        if not (done.returncode and _LOCKED.search(done.stderr)):
            break
        sleep(LOCK_PAUSE)
        done = _run(command)
    return done


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        return subprocess.run(  # noqa: S603 - fixed words
            command,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "")
    except subprocess.TimeoutExpired as error:
        raise TryLaterError(
            f"{' '.join(command)} did not end.", "See what holds it up, then join again."
        ) from error
