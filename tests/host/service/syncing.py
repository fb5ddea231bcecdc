"""What a process says that may sync a file system as a whole; run inside, with a Maildir's path."""

from __future__ import annotations

import os
import sys

from postamt_sync.atomic_file import sync_filesystem
from postamt_sync.delivery import filesystem_sync as whole


def main() -> None:
    maildir = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
    kind = whole.filesystem_kind(maildir)
    print("kind:", kind in whole.KINDS or kind)
    print("kernel:", whole.kernel_can())
    print("others:", whole.dirty() < float("inf"))
    sync_filesystem(maildir)
    print("synced: True")


if __name__ == "__main__":
    main()
