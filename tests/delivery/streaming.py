"""Delivers what is in the bucket of AWS_ENDPOINT_URL and prints by how many MB that made it grow.

python -m tests.delivery.streaming DIRECTORY SMALL_KEY KEY...
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from postamt_sync.bucket import Bucket
from postamt_sync.delivery.disk import Disk
from tests.delivery.home import Home


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def main(base: Path, small: str, keys: list[str]) -> None:
    home = Home(base, disk=Disk())
    async with Bucket("mail", "eu-west-1") as home.bucket:
        home.announce(small, "anna", "bruno")
        await home.deliver()
        before = peak()
        for key in keys:
            home.announce(key, "anna", "bruno")
        await home.deliver()
    print(peak() - before)
    home.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
