"""Decoding transfer encodings (RFC 2045, section 6) and uuencode. Nothing here raises."""

from __future__ import annotations

import binascii
import itertools
import re

MOST_ENDINGS = 1_000
"""How often padding in base64 may end one text and begin another."""
MOST_UU_LINES = 700_000
"""How many lines of a part are decoded: those of 40 MB. More are only sent to exhaust us."""
MOST_WRONG_LINES = 10_000
"""After so many invalid lines a part is not taken for uuencoded any more."""
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET) - set(b"="))
_LINE = re.compile(rb"[^\r\n]+")


def without_encoding(body: bytes, encoding: str) -> bytes:
    """Return the decoded bytes of a body, without what is invalid in it.

    If the encoding is unknown, the body is returned as it is.
    """
    if encoding == "base64":
        return _base64(body)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    if encoding in {"x-uuencode", "uuencode", "x-uue"}:
        return _uuencoded(body)
    return body


def _base64(body: bytes) -> bytes:
    """Decode the base64 in a body. After padding it starts over, in case two texts were joined."""
    whole: list[bytes] = []
    *runs, rest = body.translate(None, _NOT_BASE64).split(b"=", MOST_ENDINGS)
    for run in (*runs, rest.replace(b"=", b"")):
        fit = run[: len(run) - 1] if len(run) % 4 == 1 else run
        whole.append(binascii.a2b_base64(fit + b"=" * (-len(fit) % 4)))
    return b"".join(whole)


def _uuencoded(body: bytes) -> bytes:
    whole = bytearray()
    wrong = 0
    for found in itertools.islice(_LINE.finditer(body), MOST_UU_LINES):
        line = found[0]
        if line.startswith(b"begin ") or line.strip() == b"end":
            continue
        try:
            whole += binascii.a2b_uu(line)
        except binascii.Error:
            wrong += 1
            if wrong == MOST_WRONG_LINES:
                break
    return bytes(whole)
