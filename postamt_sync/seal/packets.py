"""Reading from the first bytes of an OpenPGP message whom it is for (RFC 9580, section 4)."""

from __future__ import annotations

from collections.abc import Iterator

_PKESK = 1
"""Packet type: Public-Key Encrypted Session Key (section 5.1)."""
_INDETERMINATE = 3
"""Length type of a legacy packet without a length (section 4.2.2)."""
_LONGEST = 1 << 16
HEAD = 1 << 14
"""Bytes of a message that are enough for all of its recipients."""


def recipients_of(head: bytes) -> frozenset[str]:
    """Return the ids of the keys that open a message: 16 digits of upper-case hex.

    For keys of version 6 they are the first digits of the fingerprint. Empty if this is not such a
    message; never raises.
    """
    return frozenset(key for body in _session_keys(head) if (key := _recipient(body)))


def key_id(fingerprint: str) -> str:
    """Return the id by which messages name the key with this fingerprint."""
    upper = fingerprint.upper()
    return upper[:16] if len(upper) == 64 else upper[-16:]


def _session_keys(data: bytes) -> Iterator[bytes]:
    """Yield the bodies of the first packets, each of which has the session key for one key."""
    at = 0
    while at < len(data):
        tag = data[at]
        if not tag & 0x80:
            return
        if tag & 0x40:
            kind, found = tag & 0x3F, _new_length(data, at + 1)
        else:
            kind, found = (tag >> 2) & 0x0F, _old_length(data, at + 1, tag & 3)
        if kind != _PKESK or found is None:
            return
        start, length = found
        if length > _LONGEST or start + length > len(data):
            return
        yield data[start : start + length]
        at = start + length


def _new_length(data: bytes, at: int) -> tuple[int, int] | None:
    first = data[at : at + 1]
    if not first or 224 <= first[0] < 255:
        return None  # such packets have no partial lengths
    if first[0] < 192:
        return at + 1, first[0]
    if first[0] < 224:
        return (
            (at + 2, ((first[0] - 192) << 8) + data[at + 1] + 192) if at + 1 < len(data) else None
        )
    return at + 5, int.from_bytes(data[at + 1 : at + 5])


def _old_length(data: bytes, at: int, kind: int) -> tuple[int, int] | None:
    if kind == _INDETERMINATE:
        return None
    octets = 1 << kind
    return at + octets, int.from_bytes(data[at : at + octets])


def _recipient(body: bytes) -> str:
    match body[:1]:
        case b"\x03" if len(body) > 9:
            return body[1:9].hex().upper()
        case b"\x06" if len(body) > 2 and body[1] > 1:
            return key_id(body[3 : 2 + body[1]].hex())
        case _:
            return ""
