from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from postamt_sync.errors import UsageError
from postamt_sync.setup.bundle import (
    LARGEST,
    MAGIC,
    Bundle,
    WrongPassphraseError,
    is_bundle,
    open_bundle,
    read_bundle,
    remove_bundle,
)
from postamt_sync.setup.passphrase import ALPHABET, LENGTH, new_passphrase, read_passphrase

PASSPHRASE = new_passphrase()
BUNDLE = Bundle({"config.toml": "x = 1\n", "credentials": "s3cret-secret"}, "incoming/k", True)
SEALED = BUNDLE.sealed(PASSPHRASE)  # once: Scrypt takes its time
LOG2_N = len(MAGIC) + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "b").write_bytes(SEALED)
    return tmp_path / "b"


def changed(data: bytes, place: int, value: int) -> bytes:
    """Change an octet, and the hash at the end with it, as an adversary would."""
    body = bytearray(data[:-32])
    body[place] = value
    return bytes(body) + hashlib.sha256(body).digest()


@pytest.mark.slow
def test_it_comes_out_as_it_went_in(tmp_path: Path) -> None:
    path = tmp_path / "written"
    BUNDLE.write(path, PASSPHRASE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    data = read_bundle(path)
    assert b"secret" not in data
    assert open_bundle(data, PASSPHRASE) == BUNDLE


def test_two_are_never_the_same(path: Path) -> None:
    path.unlink()
    BUNDLE.write(path, PASSPHRASE)
    assert path.read_bytes() != SEALED
    assert BUNDLE.digest == Bundle(dict(BUNDLE.files), "incoming/k").digest
    assert BUNDLE.digest != Bundle(dict(BUNDLE.files), "incoming/l").digest


def test_another_passphrase_is_told_from_a_changed_file(path: Path) -> None:
    data = read_bundle(path)
    with pytest.raises(WrongPassphraseError, match="not this bundle's passphrase"):
        open_bundle(data, new_passphrase())
    for place in (30, 50, len(data) - 60):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(UsageError, match="truncated or changed"):
            read_bundle(path)
    for length in (len(MAGIC) + 2, 60, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(UsageError, match="truncated or changed"):
            read_bundle(path)
    path.write_bytes(data + b"\n")
    with pytest.raises(UsageError, match="truncated or changed"):
        read_bundle(path)


@pytest.mark.slow
@pytest.mark.parametrize("place", [LOG2_N + 3, LOG2_N + 3 + 16])
def test_nothing_of_the_head_can_be_changed_unseen(path: Path, place: int) -> None:
    data = read_bundle(path)
    with pytest.raises(WrongPassphraseError):
        open_bundle(changed(data, place, data[place] ^ 1), PASSPHRASE)


@pytest.mark.parametrize(("place", "value"), [(0, 63), (0, 30), (0, 1), (1, 255), (2, 255)])
def test_a_head_that_asks_for_much_work_is_refused_before(
    path: Path, place: int, value: int
) -> None:
    data = changed(read_bundle(path), LOG2_N + place, value)
    with pytest.raises(UsageError, match="more work"):
        open_bundle(data, PASSPHRASE)


def test_another_version_is_named(path: Path) -> None:
    path.write_bytes(changed(path.read_bytes(), len(MAGIC), 2))
    with pytest.raises(UsageError, match=r"another version of postamt-sync \(format 2\)"):
        read_bundle(path)


@pytest.mark.parametrize("content", [b"", b"postamt", b"[aws]\n", b"\x00" * 200])
def test_something_else_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UsageError, match=r"not a bundle|truncated or changed"):
        read_bundle(tmp_path / "x")
    with pytest.raises(UsageError, match="not a bundle"):
        BUNDLE.write(tmp_path / "x", PASSPHRASE)
    assert (tmp_path / "x").read_bytes() == content


def test_links_fifos_and_endless_files_are_not_read(path: Path, tmp_path: Path) -> None:
    link, fifo, huge = tmp_path / "link", tmp_path / "fifo", tmp_path / "huge"
    link.symlink_to(path)
    os.mkfifo(fifo)
    with huge.open("wb") as file:
        file.write(MAGIC)
        file.truncate(LARGEST + 1)
    for one, said in ((link, "it is a link"), (fifo, "regular"), (huge, "too large")):
        with pytest.raises(UsageError, match=said):
            read_bundle(one)
    assert not is_bundle(link)
    assert not is_bundle(fifo)


def test_a_link_at_its_place_is_not_written_through(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(UsageError, match="not a bundle"):
        BUNDLE.write(link, PASSPHRASE)


def test_it_is_deleted_unless_it_is_another_by_now(path: Path) -> None:
    data = read_bundle(path)
    path.write_bytes(data + b"x")
    remove_bundle(path, data)
    assert path.exists()
    path.write_bytes(data)
    remove_bundle(path, data)
    assert not path.exists()
    remove_bundle(path, data)
    with pytest.raises(UsageError, match="If it was used already"):
        read_bundle(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../x", "authorized_keys", "smtp-credentials-../x", "a/b"])
def test_only_our_files_come_out(name: str) -> None:
    data = Bundle({"config.toml": "", name: ""}).sealed(PASSPHRASE)
    with pytest.raises(UsageError, match="files that do not belong"):
        open_bundle(data, PASSPHRASE)


def test_a_passphrase_has_more_than_128_bits() -> None:
    assert len(ALPHABET) ** LENGTH > 2**128
    assert len({new_passphrase() for _ in range(100)}) == 100


def test_a_passphrase_may_be_typed_in_other_ways() -> None:
    typed = f"  {PASSPHRASE.upper().replace('-', ' ')}\n"
    assert read_passphrase(typed) == PASSPHRASE


def test_one_wrong_letter_and_two_that_changed_places_are_noticed() -> None:
    letters = PASSPHRASE.replace("-", "")
    for n, letter in enumerate(letters):
        other = ALPHABET[(ALPHABET.index(letter) + 1) % len(ALPHABET)]
        with pytest.raises(ValueError, match="one letter is wrong"):
            read_passphrase(letters[:n] + other + letters[n + 1 :])
    for n in range(len(letters) - 1):
        swapped = letters[:n] + letters[n + 1] + letters[n] + letters[n + 2 :]
        if swapped != letters and n < LENGTH - 1:
            with pytest.raises(ValueError, match="one letter is wrong"):
                read_passphrase(swapped)
    for short in ("", letters[:-1], letters + "a"):
        with pytest.raises(ValueError, match="29 letters"):
            read_passphrase(short)
