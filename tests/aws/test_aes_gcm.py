"""AES-GCM by whichever library is there: the same plain text, and the same refusals."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postamt_sync.aws import aes_gcm
from postamt_sync.aws.aes_gcm import GcmDecryption, NoCipherError, NotAuthenticError

KEY, IV = b"k" * 32, b"i" * 12


@pytest.fixture(params=["cryptography", "OpenSSL"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    if request.param == "OpenSSL":
        without_cryptography(monkeypatch)
    return lambda: GcmDecryption(KEY, IV)


def without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.import_module

    def find(name: str) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return found(name)

    monkeypatch.setattr(aes_gcm.importlib, "import_module", find)  # type: ignore[attr-defined]


def opened(decryption: GcmDecryption, stored: bytes, cut: int) -> bytes:
    chunks = [stored[start : start + cut] for start in range(0, len(stored), cut)]
    return b"".join([*map(decryption.feed, chunks), decryption.finish()])


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1_000, 3 << 20])
@pytest.mark.parametrize("cut", [1, 7, 16, 17, 256 << 10, 4 << 20])
def test_a_mail_decrypts_however_it_is_cut_into_pieces(
    make: Callable[[], GcmDecryption], size: int, cut: int
) -> None:
    if size > cut << 16:
        pytest.skip("nobody cuts that into bytes")
    mail = os.urandom(size)
    assert opened(make(), AESGCM(KEY).encrypt(IV, mail, None), cut) == mail


@pytest.mark.parametrize("place", [0, 500, 999, 1_000, 1_015])
def test_any_byte_that_was_changed_is_told_at_the_end(
    make: Callable[[], GcmDecryption], place: int
) -> None:
    stored = bytearray(AESGCM(KEY).encrypt(IV, b"m" * 1_000, None))
    stored[place] ^= 1
    with pytest.raises(NotAuthenticError):
        opened(make(), bytes(stored), 256)


@pytest.mark.parametrize("length", [0, 15, 16, 1_000])
def test_what_was_cut_is_told(make: Callable[[], GcmDecryption], length: int) -> None:
    stored = AESGCM(KEY).encrypt(IV, b"m" * 1_000, None)
    with pytest.raises(NotAuthenticError):
        opened(make(), stored[:length], 256)


def test_the_wrong_key_is_told_at_the_end(make: Callable[[], GcmDecryption]) -> None:
    with pytest.raises(NotAuthenticError):
        opened(make(), AESGCM(b"x" * 32).encrypt(IV, b"mail", None), 256)


def test_without_any_library_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    without_cryptography(monkeypatch)
    monkeypatch.setattr(aes_gcm, "_candidates", lambda: ["no-such-library.so"])
    aes_gcm.library.cache_clear()
    try:
        with pytest.raises(NoCipherError):
            GcmDecryption(KEY, IV)
    finally:
        aes_gcm.library.cache_clear()
