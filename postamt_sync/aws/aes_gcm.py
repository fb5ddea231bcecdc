"""AES-GCM, decrypted as the bytes arrive; only the end proves that they are authentic.

Lambda's runtime does not have `cryptography`, but it has the OpenSSL that Python's own modules use,
so that serves there. This file ships with the index and webmail functions, and imports only the
standard library.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from contextlib import suppress
from typing import Any, Protocol

_TAG_BYTES = 16
_SET_IV_BYTES, _SET_TAG = 0x9, 0x11
"""EVP_CTRL_AEAD_SET_IVLEN and EVP_CTRL_AEAD_SET_TAG from OpenSSL's evp.h, part of its stable
ABI."""
_MOST = 1 << 20
"""Bytes passed to OpenSSL in one call: its lengths are ints."""


class NotAuthenticError(Exception):
    """The bytes are not what was encrypted with this key; none of them may be used."""


class NoCipherError(Exception):
    """There is neither `cryptography` nor a usable OpenSSL."""


class _Cipher(Protocol):
    def update(self, data: bytes) -> bytes: ...

    def finish(self, tag: bytes) -> bytes:
        """Return the rest of the plaintext. Raises NotAuthenticError."""


class GcmDecryption:
    """Feed it the ciphertext followed by the tag, then call `finish`.

    What `feed` returns is not authenticated yet: discard it unless `finish` returns. Raises
    NoCipherError if there is nothing to decrypt with.
    """

    def __init__(self, key: bytes, iv: bytes) -> None:
        """`key` has 32 bytes."""
        self._cipher = _cipher(key, iv)
        self._tail = b""

    def feed(self, data: bytes) -> bytes:
        """Return the plaintext of what has come so far, except for bytes that may be the tag."""
        data = self._tail + data
        self._tail = data[-_TAG_BYTES:]
        return self._cipher.update(data[:-_TAG_BYTES])

    def finish(self) -> bytes:
        """Return the rest of the plaintext, usually nothing. Raises NotAuthenticError."""
        if len(self._tail) != _TAG_BYTES:
            raise NotAuthenticError
        return self._cipher.finish(self._tail)


def _cipher(key: bytes, iv: bytes) -> _Cipher:
    with suppress(ImportError):
        return _Cryptography(key, iv)
    return OpenSslCipher(key, iv)


class _Cryptography:
    def __init__(self, key: bytes, iv: bytes) -> None:
        name = "cryptography.hazmat.primitives.ciphers"
        ciphers: Any = importlib.import_module(name)
        self._invalid: type[Exception] = importlib.import_module(
            "cryptography.exceptions"
        ).InvalidTag
        self._decryptor = ciphers.Cipher(
            ciphers.algorithms.AES(key), ciphers.modes.GCM(iv)
        ).decryptor()

    def update(self, data: bytes) -> bytes:
        plain: bytes = self._decryptor.update(data)
        return plain

    def finish(self, tag: bytes) -> bytes:
        try:
            left: bytes = self._decryptor.finalize_with_tag(tag)
        except self._invalid:
            raise NotAuthenticError from None
        return left


class OpenSslCipher:
    """The same through the OpenSSL that Python itself uses, or one of the system's."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._ssl = library()
        self._context = self._ssl.EVP_CIPHER_CTX_new()
        made = (
            self._context
            and self._ssl.EVP_DecryptInit_ex(
                self._context, self._ssl.EVP_aes_256_gcm(), None, None, None
            )
            and self._ssl.EVP_CIPHER_CTX_ctrl(self._context, _SET_IV_BYTES, len(iv), None)
            and self._ssl.EVP_DecryptInit_ex(self._context, None, None, key, iv)
        )
        if not made:
            raise NoCipherError("OpenSSL refuses AES-256-GCM")

    def update(self, data: bytes) -> bytes:
        return b"".join(
            self._update(data[start : start + _MOST]) for start in range(0, len(data), _MOST)
        )

    def _update(self, data: bytes) -> bytes:
        plain = ctypes.create_string_buffer(len(data) + _TAG_BYTES)
        length = ctypes.c_int(0)
        done = self._ssl.EVP_DecryptUpdate(
            self._context, plain, ctypes.byref(length), data, len(data)
        )
        if done != 1:
            raise NotAuthenticError
        return plain.raw[: length.value]

    def finish(self, tag: bytes) -> bytes:
        plain = ctypes.create_string_buffer(_TAG_BYTES)
        length = ctypes.c_int(0)
        own = ctypes.create_string_buffer(tag, len(tag))
        proven = self._ssl.EVP_CIPHER_CTX_ctrl(
            self._context, _SET_TAG, len(tag), own
        ) == 1 and self._ssl.EVP_DecryptFinal_ex(self._context, plain, ctypes.byref(length))
        if proven != 1:
            raise NotAuthenticError
        return plain.raw[: length.value]

    def __del__(self) -> None:
        context, self._context = getattr(self, "_context", None), None
        if context:
            self._ssl.EVP_CIPHER_CTX_free(context)


@functools.cache
def library() -> Any:
    """Return OpenSSL with the functions that we need declared. Raises NoCipherError."""
    for name in _candidates():
        with suppress(OSError, AttributeError):
            found = ctypes.CDLL(name)
            void, number = ctypes.c_void_p, ctypes.c_int
            length = ctypes.POINTER(number)
            _declare(found.EVP_CIPHER_CTX_new, void)
            _declare(found.EVP_aes_256_gcm, void)
            _declare(found.EVP_CIPHER_CTX_free, None, void)
            _declare(found.EVP_CIPHER_CTX_ctrl, number, void, number, number, void)
            text = ctypes.c_char_p
            _declare(found.EVP_DecryptInit_ex, number, void, void, void, text, text)
            _declare(found.EVP_DecryptUpdate, number, void, void, length, text, number)
            _declare(found.EVP_DecryptFinal_ex, number, void, void, length)
            return found
    raise NoCipherError("there is no OpenSSL")


def _candidates() -> list[str | None]:
    """Return where to look first: loading a module of Python's own loads its OpenSSL with it."""
    own = []
    with suppress(ImportError):
        own.append(getattr(importlib.import_module("_hashlib"), "__file__", None))
    return [*own, "libcrypto.so.3", "libcrypto.so"]


def _declare(function: Any, result: Any, *arguments: Any) -> None:
    function.restype, function.argtypes = result, arguments
