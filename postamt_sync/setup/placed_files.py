"""Puts the bundle's files in place on the box: the configuration, and keys that only root may
read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path, PurePosixPath

from postamt_sync import atomic_file
from postamt_sync.config import load
from postamt_sync.errors import ConfigurationError, UsageError, unwritable
from postamt_sync.events import printable
from postamt_sync.host.service.program import EXAMPLE, shipped
from postamt_sync.setup.answers import CONFIGURATION
from postamt_sync.setup.bundle import MAKE_ANOTHER, Bundle

ETC = Path("/etc/postamt-sync")
IMAP_CHAIN = PurePosixPath("/etc/postamt-sync/imap/fullchain.pem")
IMAP_KEY = PurePosixPath("/etc/postamt-sync/imap/privkey.pem")
"""Where `join` puts the IMAP server's certificate that it found or made."""
_LARGEST = 1 << 20


def refuse_other_release(bundle: Bundle) -> None:
    """Raise UsageError if this program does not understand the bundle's configuration.

    To be called before anything is put in place: a newer setup may have written options that this
    version does not have.
    """
    with tempfile.TemporaryDirectory() as place:
        config = Path(place) / CONFIGURATION
        config.write_text(bundle.files[CONFIGURATION], encoding="utf-8")
        try:
            load(config, {})
        except ConfigurationError as error:
            raise UsageError(
                "This program does not understand the bundle's configuration "
                f"({printable(str(error.problems[0]), 200)})",
                f"Install the same version on both machines. {MAKE_ANOTHER}",
            ) from error


def place(bundle: Bundle, etc: Path = ETC, *, force: bool = False) -> list[Path]:
    """Write the files that differ and return their paths; durable on return.

    A configuration other than the bundle's is replaced only with `force`, and even then kept under
    another name. Raises UsageError without `force`, PostamtError if files cannot be written.
    """
    config = etc / CONFIGURATION
    there = _read(config)
    foreign = there not in {None, "", bundle.files[CONFIGURATION], shipped(EXAMPLE)}
    if foreign and not force:
        raise UsageError(
            f"{config} is not the bundle's configuration.",
            "Replace it with --force; it is kept aside.",
        )
    try:
        etc.mkdir(mode=0o755, parents=True, exist_ok=True)
        if foreign:
            _keep_aside(config)
        # Keys first: once the configuration is there, the daemon may start.
        names = sorted(bundle.files, key=lambda name: name == CONFIGURATION)
        written = []
        for name in names:
            if _read(etc / name) != bundle.files[name]:
                mode = atomic_file.PUBLIC if name == CONFIGURATION else atomic_file.PRIVATE
                atomic_file.write(etc / name, bundle.files[name], mode)
                written.append(etc / name)
    except OSError as error:
        raise unwritable(etc, error, "Run it as root (sudo).") from error
    return written


def _keep_aside(path: Path) -> None:
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.before-{number}")):
        number += 1
    os.link(path, aside, follow_symlinks=False)


def _read(path: Path) -> str | None:
    """Return a file's text; None if there is none, "" for anything that is not a file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            return file.read(_LARGEST).decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError:
        return ""
