"""Whether a Maildir lies where this process may write at all.

A service manager or a container runtime opens a few paths for writing and mounts the rest
read-only. What is configured later must lie within them.
"""

from __future__ import annotations

import os
from pathlib import Path


def is_read_only(root: Path) -> bool:
    """Tell whether the file system that holds `root`, or that would, is read-only for us.

    A path that may not be looked at counts as the nearest one above it that may. Blocking.
    """
    for path in (root, *root.parents):
        try:
            return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        except OSError:
            continue
    return False
