"""What is sealed is opened by the person's own gpg and sq, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from postamt_sync.seal.one_seal import Outcome, Sealed, Sealer
from postamt_sync.seal.owner_keys import read_owner_key
from tests.doubles.versioned_bucket import VersionedBucket
from tests.support.gpg import Gpg, has_gpg, has_sq

pytestmark = [pytest.mark.gpg, has_gpg]

MAILS = {
    "text": b"From: a@b.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n",
    "bare line ends": b"Subject: x\n\nno\rcarriage\n",
    "every byte": bytes(range(256)) * 300,
    "nothing": b"",
    "no end": b"Subject: x\r\n\r\nno newline at the end",
}


def sealed_by(keys: list[bytes], body: bytes, directory: Path) -> bytes:
    """Return what the function puts into the bucket for one mail."""
    bucket = VersionedBucket(datetime(2026, 11, 28, tzinfo=UTC))
    bucket.store("incoming/a", body)
    owners = [read_owner_key(key) for key in keys]
    sealer = Sealer(
        bucket, "incoming/", "sealed/", owners, lambda _: True, lambda _: None, directory
    )
    assert sealer.seal(bucket.listed("incoming/a")[0]) == Sealed(Outcome.SEALED)
    ((version,),) = bucket.below("sealed/").values()
    assert version.body is not None
    return version.body


@pytest.mark.parametrize("mail", MAILS)
@pytest.mark.parametrize("opener", ["owner", "backup"])
def test_gpg_opens_it_with_either_key(gpg: Gpg, tmp_path: Path, opener: str, mail: str) -> None:
    message = sealed_by([gpg.public("owner"), gpg.public("backup")], MAILS[mail], tmp_path)
    with closing(Gpg()) as other:
        other("--import", data=gpg.secret(opener))
        assert other.open(message) == MAILS[mail]


@has_sq
@pytest.mark.parametrize("mail", MAILS)
@pytest.mark.parametrize("opener", ["owner", "backup"])
def test_sq_opens_it_with_either_key(gpg: Gpg, tmp_path: Path, opener: str, mail: str) -> None:
    message = sealed_by([gpg.public("owner"), gpg.public("backup")], MAILS[mail], tmp_path)
    secret = tmp_path / "secret.asc"
    secret.write_bytes(gpg.secret(opener))
    told = subprocess.run(["sq", "decrypt", "--help"], capture_output=True, check=False)
    option = "--recipient-file" if b"--recipient-file" in told.stdout else "--recipient-key"
    done = subprocess.run(
        ["sq", "decrypt", option, str(secret)],
        input=message,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == MAILS[mail]


def test_gpg_opens_it_for_one_key_alone_and_nobody_else_does(gpg: Gpg, tmp_path: Path) -> None:
    message = sealed_by([gpg.public("owner")], MAILS["text"], tmp_path)
    assert gpg.open(message) == MAILS["text"]
    with closing(Gpg()) as other:
        other("--import", data=gpg.secret("backup"))
        assert other("--decrypt", data=message, check=False) == b""


LARGE = """
import resource, sys
from pathlib import Path
from postamt_sync.seal.owner_keys import encrypt_file, read_owner_key
keys = [read_owner_key(Path(name).read_bytes()) for name in sys.argv[3:]]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
encrypt_file(sys.argv[1], sys.argv[2], keys)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_the_largest_mail_takes_little_memory(gpg: Gpg, tmp_path: Path) -> None:
    plain, sealed, key = (tmp_path / name for name in ("plain", "sealed", "key"))
    plain.write_bytes(os.urandom(1 << 20) * 40)
    key.write_bytes(gpg.public("owner"))
    command = [sys.executable, "-c", LARGE, *map(str, (plain, sealed, key))]
    done = subprocess.run(command, capture_output=True, check=True)
    assert int(done.stdout) < 20_000, "KiB more than before, of a mail of 40 MB"
    assert gpg.open(sealed.read_bytes()) == plain.read_bytes()
