"""What lies where a small file should be is read or refused, and never waited for."""

from __future__ import annotations

import grp
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from postamt_sync.alerts.conditions import expiry
from postamt_sync.app.file_watcher import fingerprint
from postamt_sync.bootstrap.key_file import small_text
from postamt_sync.cli.service import is_example
from postamt_sync.config import load
from postamt_sync.doctor.webhook import is_readable
from postamt_sync.errors import MisconfiguredError, PostamtError
from postamt_sync.events import Events
from postamt_sync.host.dovecot.sendmail import read_accounts
from postamt_sync.host.service.certificate import Pair
from postamt_sync.host.service.sealed_files import SealedFile
from postamt_sync.host.smtp_credentials import read_credentials
from postamt_sync.http.sockets import tls_context
from postamt_sync.intake.certificate_store import CertificateStore
from postamt_sync.intake.sns_certificates import Certificates
from postamt_sync.regular_file import read_small
from postamt_sync.setup.answers import AnswerFile
from tests.doubles.inbox import MemoryLog
from tests.doubles.sns import TOPIC


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


PLANTS: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "socket": _socket,
    "directory": Path.mkdir,
    "sparse file": _sparse,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "link to itself": lambda path: path.symlink_to(path),
    "link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
    "nothing": lambda _: None,
}


@pytest.fixture(params=PLANTS)
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "f"
    PLANTS[request.param](path)
    return path


def test_is_refused(planted: Path) -> None:
    with pytest.raises(OSError, match="f"):
        read_small(planted, links=True)


def test_as_a_certificate_or_a_key_it_is_named(planted: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.pem"
    good.write_bytes(b"")
    for pair in ((planted, good), (good, planted)):
        with pytest.raises(MisconfiguredError, match=r"cannot be (read|used)"):
            tls_context(*pair)
    assert expiry(planted, now=0.0) is None


def test_as_the_configuration_it_is_named(planted: Path) -> None:
    with pytest.raises(MisconfiguredError):
        load(planted, {})


READERS: dict[str, Callable[[Path], object]] = {
    "SMTP credentials": read_credentials,
    "what Sieve sends with": read_accounts,
    "a renewed certificate": lambda path: Pair(path, path).check(),
    "a renewed certificate, copied": lambda path: Pair(path, path).copy_to(
        Pair(path.with_name("chain"), path.with_name("key")), grp.getgrgid(os.getgid()).gr_name
    ),
    "a unit": lambda path: SealedFile(path, "").state(),
    "the key of the webhook": is_readable,
    "remembered certificates of SNS": lambda path: CertificateStore(
        path.parent, Events(MemoryLog())
    ).read(),
    "whom SNS's certificates are fetched from": lambda path: Certificates(
        TOPIC, ca_bundle=str(path)
    ).trusted(),
    "the answers of setup": lambda path: AnswerFile(path.parent).read(),
    "a key of bootstrap": small_text,
    "the example": lambda path: is_example(path, "example"),
}
NAMES = {
    "remembered certificates of SNS": "sns-certificates.json",
    "the answers of setup": "answers.json",
}


@pytest.mark.parametrize("kind", PLANTS)
@pytest.mark.parametrize("reader", READERS)
def test_whoever_reads_it_says_so_or_does_without(tmp_path: Path, reader: str, kind: str) -> None:
    path = tmp_path / NAMES.get(reader, "f")
    PLANTS[kind](path)
    with suppress(PostamtError, OSError, ValueError):
        READERS[reader](path)
    assert {one.name for one in tmp_path.iterdir()} <= {path.name}


def test_it_has_afingerprint_by_which_a_change_shows(planted: Path) -> None:
    before = fingerprint(planted)
    assert before
    assert fingerprint(planted) == before


def test_a_file_is_read_through_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_small(tmp_path / "link", links=True) == b"content"
    assert read_small(tmp_path / "link", 7, links=True) == b"content"
    with pytest.raises(OSError, match="too large"):
        read_small(tmp_path / "link", 6, links=True)


def test_a_configuration_may_come_from_another_program(tmp_path: Path) -> None:
    """As with a shell's `<(...)`: whoever writes may take his time."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    slow = f"import time; f = open({str(pipe)!r}, 'w'); time.sleep(0.2); f.write('x = 1')"
    with subprocess.Popen([sys.executable, "-c", slow]):
        descriptor = os.open(pipe, os.O_RDONLY)  # as the shell: both ends are open by then
        assert read_small(Path(f"/proc/self/fd/{descriptor}"), links=True, pipes=True) == b"x = 1"
        os.close(descriptor)
