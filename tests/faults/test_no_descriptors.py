"""File descriptors run out at any point of a start: it is tried again, and is no bug of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.sns import certificate_pem, key_pem, private_key
from tests.end_to_end.home import REPOSITORY
from tests.support.household import settings

pytestmark = pytest.mark.slow

PROGRAM = """
import os, resource, sys
from pathlib import Path
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.http.sockets import bind, bind_unix, tls_context
from postamt_sync.recovery.open_ledger import open_for_delivery
from tests.doubles.inbox import MemoryLog
from tests.support.household import settings

root, what = Path(sys.argv[1]), sys.argv[2]
configured = settings(root)

def ledger():
    with open_for_delivery(configured, "run", Events(MemoryLog())):
        pass

def lost_ledger():
    (root / "state" / "ledger.sqlite3").unlink(missing_ok=True)
    ledger()

def name():
    for listening in bind([("localhost", 0)]):
        listening.close()

def address():
    for listening in bind([("127.0.0.1", 0), ("127.0.0.2", 0)]):
        listening.close()

def unix():
    bind_unix(root / "socket", "admin.listen").close()

def tls():
    tls_context(root / "chain.pem", root / "key.pem")

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
ends = []
globals()[what]()  # what is imported late is there from now on
for more in range(16):
    taken = len(os.listdir("/proc/self/fd")) - 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken + more, most))
    try:
        globals()[what]()
        ends.append("well")
    except PostamtError as error:
        assert error.temporary, repr(error)
        ends.append("later")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
print(*ends)
"""


@pytest.mark.parametrize("what", ["ledger", "lost_ledger", "name", "address", "unix", "tls"])
def test_a_start_without_them_is_tried_again(tmp_path: Path, what: str) -> None:
    settings(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "chain.pem").write_bytes(certificate_pem(private_key()))
    (tmp_path / "key.pem").write_bytes(key_pem(private_key()))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), what]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    ends = done.stdout.split()
    assert ends[0] == "later"
    assert ends[-1] == "well"
