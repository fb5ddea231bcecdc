"""Files that the configuration names and that must be there before the daemon starts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from postamt_sync.config.settings import Settings
from postamt_sync.errors import Problem
from postamt_sync.events import printable

_COPY = "sudo postamt-sync service certificate FULLCHAIN PRIVKEY"


def lacking_files(settings: Settings) -> list[Problem]:
    """Return what is missing, or of another kind; where this user may not look counts as there."""
    return [
        Problem(key, f"{wrong}: {printable(str(path), 4096)}.", example)
        for key, path, example in _needed(settings)
        if (wrong := _wrong(path, directory=key == "backup_dir"))
    ]


def _needed(settings: Settings) -> Iterator[tuple[str, Path, str]]:
    for name, section in (("webhook", settings.webhook), ("home", settings.home)):
        for option in ("tls_certificate", "tls_key"):
            path = getattr(section, option, None)
            if path is not None:
                yield f"{name}.{option}", path, _COPY if name == "webhook" else ""
    if settings.backup_dir is not None:
        yield "backup_dir", settings.backup_dir, ""


def _wrong(path: Path, *, directory: bool) -> str:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - one call, whose errors differ
    except PermissionError:
        return ""
    except OSError:
        return "there is no such directory" if directory else "there is no such file"
    if directory:
        return "" if stat.S_ISDIR(mode) else "this is no directory"
    return "" if stat.S_ISREG(mode) else "this is no file"
