"""`unseal`: one sealed mail on standard output, however it is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pysequoia
import pytest

from postamt_sync.cli.unseal import unseal
from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError, UsageError
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import Arrival, Source, mail_id
from tests.doubles.s3 import S3Double
from tests.support.gpg import Gpg, has_gpg
from tests.support.household import configure
from tests.support.sealing import seal

pytestmark = [pytest.mark.gpg, has_gpg]

KEY = "incoming/4k1s0v"
MAIL = b"Subject: x\r\n\r\n\x00\xff sealed\r\n" * 3


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    own = Gpg()
    own.make("owner", "future-default", "default", "2y")
    yield own
    own.close()


@pytest.fixture
def config(tmp_path: Path, s3: S3Double, gpg: Gpg, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GNUPGHOME", str(gpg.home))
    return configure(tmp_path)


@pytest.fixture
def sealed_key(s3: S3Double, gpg: Gpg) -> str:
    cert = pysequoia.Cert.from_bytes(gpg.public("owner"))
    s3.put(KEY, MAIL, last_modified=1.7e9)
    (made,) = seal(s3, KEY, encrypt=lambda plain: pysequoia.encrypt(plain, [cert], armor=False))
    return made


@pytest.mark.parametrize("name", [KEY, "4k1s0v", "", "by mail id"])
def test_however_it_is_named(
    config: Path,
    s3: S3Double,
    sealed_key: str,
    name: str,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    if name == "by mail id":
        ledger = Ledger.open(tmp_path / "state")
        ledger.arrivals.record([Arrival(s3.bucket, KEY, Source.POLL)])
        ledger.close()
        name = mail_id(s3.bucket, KEY)
    assert unseal(name or sealed_key, config) == 0
    assert capfdbinary.readouterr().out == MAIL


def test_of_several_contents_the_newest_or_the_very_one(
    config: Path,
    s3: S3Double,
    gpg: Gpg,
    sealed_key: str,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    cert = pysequoia.Cert.from_bytes(gpg.public("owner"))
    s3.put(KEY, b"newer", last_modified=1.8e9)
    seal(s3, KEY, encrypt=lambda plain: pysequoia.encrypt(plain, [cert], armor=False))
    unseal(KEY, config)
    assert capfdbinary.readouterr().out == b"newer"
    unseal(sealed_key, config)
    assert capfdbinary.readouterr().out == MAIL


def test_what_is_not_sealed_is_said(config: Path, s3: S3Double) -> None:
    s3.put(KEY, MAIL)
    with pytest.raises(UsageError, match="is not sealed"):
        unseal(KEY, config)


@pytest.mark.parametrize("name", ["incoming/nothing", "nothing", "sealed/x/y.pgp", "../../etc"])
def test_what_is_not_there_is_said(config: Path, s3: S3Double, name: str) -> None:
    with pytest.raises(UsageError, match="There is no sealed object"):
        unseal(name, config)


def test_nothing_is_written_of_what_is_not_what_was_sealed(
    config: Path, s3: S3Double, sealed_key: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    stored = s3.objects[sealed_key]
    s3.put(sealed_key, stored.body, headers={"x-amz-meta-sha256": "0" * 64})
    with pytest.raises(TryLaterError, match="SHA-256"):
        unseal(KEY, config)
    assert capfdbinary.readouterr().out == b""


def test_without_gpg_or_key_it_is_said(
    config: Path, s3: S3Double, sealed_key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with closing(Gpg()) as stranger:
        monkeypatch.setenv("GNUPGHOME", str(stranger.home))
        with pytest.raises(PostamtError, match="no secret key"):
            unseal(KEY, config)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MisconfiguredError, match="gpg is not installed"):
        unseal(KEY, config)
