"""Delivers what is in the bucket of AWS_ENDPOINT_URL and prints how many MB that took at most.

python -m tests.delivery.streaming DIRECTORY SMALL_KEY KEY...
"""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from pathlib import Path

from postamt_sync.bucket import Bucket
from postamt_sync.delivery.disk import Disk
from tests.delivery.home import Home


async def main(base: Path, small: str, keys: list[str]) -> None:
    home = Home(base, disk=Disk())
    async with Bucket("mail", "eu-west-1") as home.bucket:
        home.announce(small, "anna", "bruno")
        await home.deliver()
        tracemalloc.start()
        for key in keys:
            home.announce(key, "anna", "bruno")
        await home.deliver()
    print(tracemalloc.get_traced_memory()[1] / (1 << 20))
    home.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
