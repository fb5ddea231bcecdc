"""The owner's certificates: named with what is encrypted for, and refused where nothing can be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postamt_sync.seal.key_files import read_key_files
from postamt_sync.seal.owner_keys import (
    KeyRefusedError,
    encrypt_file,
    encryption_fingerprints,
    proof_of,
    read_owner_key,
)
from tests.support.gpg import Gpg, has_gpg

pytestmark = [pytest.mark.gpg, has_gpg]

NOW = datetime.now(UTC)


def refusal(data: bytes, now: datetime = NOW) -> str:
    with pytest.raises(KeyRefusedError) as raised:
        read_owner_key(data, now)
    assert raised.value.hint
    return raised.value.problem


@pytest.mark.parametrize("armor", [True, False])
@pytest.mark.parametrize("name", ["owner", "backup"])
def test_a_key_is_named_with_its_subkey_and_their_end(gpg: Gpg, name: str, armor: bool) -> None:
    key = read_owner_key(gpg.public(name, armor=armor))
    assert key.fingerprint == gpg.fingerprint(name)
    assert key.name == f"{name} <{name}@example.com>"
    listed = gpg("--with-colons", "--list-keys", key.fingerprint).decode().splitlines()
    subkeys = [line.split(":") for line in listed if line.startswith("sub")]
    assert [one.fingerprint[-16:] for one in key.encryption] == [sub[4] for sub in subkeys]
    assert [one.expires and str(int(one.expires.timestamp())) for one in key.encryption] == [
        sub[6] or None for sub in subkeys
    ]
    assert key.expires is not None
    years = 2 if name == "owner" else 1
    assert abs(key.expires - NOW - timedelta(days=365 * years)) < timedelta(days=1)
    assert not key.ends_soon(NOW)
    assert key.ends_soon(key.expires - timedelta(days=3))


def test_a_key_that_never_ends_does_not_expire(gpg: Gpg) -> None:
    gpg.make("endless", "future-default", "default", "never")
    assert read_owner_key(gpg.public("endless")).expires is None


def test_a_secret_key_is_refused_in_every_form(gpg: Gpg) -> None:
    secret = gpg.secret("owner")
    forms = {
        "armoured": secret,
        "binary": gpg("--export-secret-keys", "owner@example.com"),
        "subkeys": gpg("--armor", "--export-secret-subkeys", "owner@example.com"),
        "behind a public one": gpg.public("backup") + secret,
        "before a public one": secret + gpg.public("backup"),
        "with text around": b"my key:\n" + secret + b"thanks\n",
        "with Windows' line ends": secret.replace(b"\n", b"\r\n"),
        "cut off": secret[: len(secret) // 2],
    }
    for form, data in forms.items():
        assert "secret" in refusal(data), form


def test_a_key_that_has_expired_is_refused_though_the_library_would_take_it(gpg: Gpg) -> None:
    gpg.make("short", "future-default", "default", "seconds=1")
    data = gpg.public("short")
    assert "expired" in refusal(data, datetime.now(UTC) + timedelta(minutes=1))
    owner = read_owner_key(gpg.public("owner"))
    assert owner.expires is not None
    assert "expired" in refusal(gpg.public("owner"), owner.expires)
    assert read_owner_key(gpg.public("owner"), owner.expires - timedelta(seconds=1))


def test_a_subkey_that_has_expired_is_refused_under_a_key_that_has_not(gpg: Gpg) -> None:
    backup = read_owner_key(gpg.public("backup"))
    (subkey,) = backup.encryption
    assert subkey.expires is not None
    assert "subkey for encryption expired" in refusal(gpg.public("backup"), subkey.expires)


def test_revoked_keys_are_refused(gpg: Gpg) -> None:
    fingerprint = gpg.make("revoked")
    written = gpg.home / "openpgp-revocs.d" / f"{fingerprint}.rev"
    gpg("--import", data=written.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))
    assert "revoked" in refusal(gpg.public("revoked"))


def test_a_revoked_subkey_is_refused(gpg: Gpg) -> None:
    gpg.make("former")
    edit = b"key 1\nrevkey\ny\n0\n\ny\nsave\n"
    gpg(
        "--no-batch",
        "--no-tty",
        "--command-fd=0",
        "--status-fd=2",
        "--edit-key",
        "former@example.com",
        data=edit,
    )
    assert "subkey for encryption was revoked" in refusal(gpg.public("former"))


def test_of_two_subkeys_those_that_live_are_encrypted_for(gpg: Gpg, tmp_path: Path) -> None:
    fingerprint = gpg.make("many")
    gpg("--quick-add-key", fingerprint, "cv25519", "encr", "1y")
    gpg("--quick-set-expire", fingerprint, "6m", "*")
    key = read_owner_key(gpg.public("many"))
    assert len(key.encryption) == 2
    assert key.expires == max(one.expires for one in key.encryption if one.expires)
    (tmp_path / "plain").write_bytes(b"hello")
    encrypt_file(str(tmp_path / "plain"), str(tmp_path / "sealed"), [key])
    assert gpg.open((tmp_path / "sealed").read_bytes()) == b"hello"


def test_a_key_that_only_signs_is_refused(gpg: Gpg) -> None:
    gpg.make("signs", "ed25519", "sign", "1y")
    assert "nothing can be encrypted" in refusal(gpg.public("signs"))


def test_several_keys_in_one_file_are_refused(gpg: Gpg) -> None:
    both = gpg("--armor", "--export", "owner@example.com", "backup@example.com")
    assert "keys or more" in refusal(both)
    assert "keys or more" in refusal(gpg.public("owner") + gpg.public("backup"))
    assert "keys or more" in refusal(
        gpg.public("owner", armor=False) + gpg.public("backup", armor=False)
    )


def test_what_is_no_certificate_is_refused(gpg: Gpg) -> None:
    public = gpg.public("owner")
    message = gpg("--armor", "--trust-model=always", "-r", "owner@example.com", "-e", data=b"x")
    for data in (b"", b"hello", b"\x00" * 100, message, public[: len(public) // 2], b"\xff" * 50):
        assert "not an OpenPGP certificate" in refusal(data)
    assert "larger" in refusal(public + bytes(1 << 20))


def test_a_name_is_made_printable(gpg: Gpg) -> None:
    gpg("--quick-gen-key", "od\x1b[31md <odd@example.com>", "future-default")
    assert "\x1b" not in read_owner_key(gpg.public("odd")).name


def test_a_proof_is_for_just_what_is_encrypted_for(gpg: Gpg) -> None:
    owner, backup = (read_owner_key(gpg.public(name)) for name in ("owner", "backup"))
    assert proof_of([owner, backup]) == proof_of([backup, owner])
    assert proof_of([owner]) != proof_of([owner, backup])
    assert set(encryption_fingerprints([owner, backup])) == {
        owner.encryption[0].fingerprint,
        backup.encryption[0].fingerprint,
    }


def test_files_are_read_one_by_one(gpg: Gpg, tmp_path: Path) -> None:
    (tmp_path / "owner.asc").write_bytes(gpg.public("owner"))
    (tmp_path / "again.asc").write_bytes(gpg.public("owner", armor=False))
    (tmp_path / "secret.asc").write_bytes(gpg.secret("backup"))
    names = ("owner.asc", "again.asc", "secret.asc", "none.asc", ".")
    found = read_key_files([tmp_path / name for name in names])
    said = [each.refused.problem if each.refused else "" for each in found]
    assert [each.key is not None for each in found] == [True, False, False, False, False]
    assert "Another of these files" in said[1]
    assert "secret" in said[2]
    assert said[3] == "It cannot be read: No such file or directory."
    assert "cannot be read" in said[4]
