"""What a mail of a first import takes in instructions, and from that what a Raspberry Pi 4 needs.

An estimate: valgrind counts what an Intel processor without SHA extensions carries out, which the
Pi's lacks too, and leaves out what the kernel does. Valgrind comes from Debian.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.peers import environment, ours, server

FEW, MANY = 100, 600
"""Mails; the difference leaves out what a start takes."""
PI_CYCLES = 1.5e9
"""A second, of one of the four Cortex-A72."""
PI_PER_CYCLE = 0.9
"""Instructions of CPython in a cycle there: assumed, about half of what an Intel does."""

_COLLECTED = re.compile(r"Collected : (\d+)")


def measure(peers: Path) -> str:
    """Return a line of figures; it takes some minutes."""
    if shutil.which("valgrind") is None:
        return "valgrind is not there: apt-get install valgrind"
    few, many = (_counted(peers, mails) for mails in (FEW, MANY))
    mail = (many - few) / (MANY - FEW)
    start = few - FEW * mail
    pi = PI_CYCLES * PI_PER_CYCLE
    return (
        f"{mail / 1e6:.1f} million instructions a mail, {start / 1e9:.1f} thousand million a start;"
        f" on a Pi 4, by estimate: {mail / pi * 1000:.1f} ms of one core a mail without what the"
        f" kernel does, {start / pi:.1f} s a start"
    )


def _counted(peers: Path, mails: int) -> int:
    with server(peers, mails) as endpoint, tempfile.TemporaryDirectory() as scratch:
        command = ours(Path(scratch) / "ours")
        counted = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch}/counted"]
        done = subprocess.run(
            [*counted, *command],
            env=environment(endpoint),
            capture_output=True,
            text=True,
            check=False,
        )
    found = _COLLECTED.search(done.stderr)
    if found is None:
        raise SystemExit(done.stderr[-2000:])
    return int(found[1])
