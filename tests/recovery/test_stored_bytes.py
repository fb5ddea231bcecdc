"""Where an object's bytes begin in a file, also of mail that SES encrypted, which is shorter."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from postamt_sync.app.sync import SyncRun
from postamt_sync.bucket import DataKeys
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.mail.client_encryption import TAG_BYTES
from postamt_sync.recovery.stored_bytes import content_damage, lead_of
from postamt_sync.recovery.verify import Comparison
from tests.doubles.kms import EncryptingSes
from tests.recovery.box import LONG_AGO, Box

MAIL = b"Subject: x\r\n\r\nmail\r\n"
OURS = b"Delivered-To: a@b\r\n"


@pytest.mark.parametrize("ours", [b"", OURS, OURS * 3, b"X: " + b"y" * 500 + b"\r\n"])
@pytest.mark.parametrize("more", [0, TAG_BYTES])
def test_behind_what_we_put_on_top(ours: bytes, more: int) -> None:
    file = ours + MAIL
    assert lead_of(io.BytesIO(file), len(file), len(MAIL) + more) == len(ours)


@pytest.mark.parametrize("size", [len(MAIL) + 5, len(MAIL) + TAG_BYTES + 1, len(MAIL) - 3, 10_000])
def test_of_what_is_not_what_was_delivered_nothing_is_said(size: int) -> None:
    assert lead_of(io.BytesIO(MAIL), len(MAIL), size) is None


def test_an_md5_says_nothing_of_what_ses_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "mail"
    path.write_bytes(MAIL)
    stored = len(MAIL) + TAG_BYTES
    assert content_damage(path, len(MAIL), stored, "md5", "0" * 32) == ""
    assert "SHA256" in content_damage(path, len(MAIL), stored, "sha256", "0" * 64)
    assert "MD5" in content_damage(path, len(MAIL), len(MAIL), "md5", "0" * 32)


@pytest.mark.slow
async def test_a_lost_ledger_knows_mail_that_ses_encrypted_again(box: Box) -> None:
    ses = EncryptingSes()
    box.config.write_text(box.config.read_text().replace("[bucket]", "[bucket]\nkms = true"))
    for name in ("a", "b"):
        mail = f"To: anna@example.com\r\nSubject: {name}\r\n\r\n{name}\r\n".encode()
        box.s3.put(f"incoming/{name}", **ses.stored(mail), last_modified=LONG_AGO)

    async def sync() -> None:
        bucket = box.bucket(DataKeys(ses.kms))
        await SyncRun(box.settings, Events(box.log), bucket).run()

    await sync()
    assert box.states() == {"delivered": 2}
    box.lose()
    await sync()
    assert box.counts() == {"a": 1, "b": 1}
    assert box.states() == {"delivered": 2}
    ledger = Ledger.open_existing(box.state)
    async with box.bucket() as bucket:
        comparison = Comparison(box.settings, ledger, bucket, content=True)
        assert await comparison.run() == []
    ledger.close()
