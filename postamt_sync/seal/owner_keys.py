"""The owner's OpenPGP certificates: reading them, and refusing those that cannot be used.

pysequoia also encrypts for keys whose certificate has expired or was revoked, so that is checked
here. What a certificate says of itself is believed: it is the owner's own file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from postamt_sync.log_line import printable
from postamt_sync.mail.seal_table import proof_id
from postamt_sync.seal.packets import key_id, recipients_of

try:
    import pysequoia
    from pysequoia.packet import Packet, PacketPile, SignatureType, Tag
except ImportError:  # it is in the extra `seal`, as `read_owner_key` says
    pysequoia = None  # type: ignore[assignment]

LARGEST_FILE = 1 << 20
"""Bytes of a file: certificates with many signatures by others are large."""

SOON = timedelta(days=30)
"""How long before a key expires people are warned."""

_SECRET = re.compile(rb"-----BEGIN PGP (PRIVATE|SECRET) KEY BLOCK")


class KeyRefusedError(Exception):
    """A file cannot be used for sealing. `problem` says why, in a sentence, `hint` what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A key, usually a subkey, that mail is encrypted for. `expires` is None if it never does."""

    fingerprint: str
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """A certificate that can be encrypted for.

    `name` is its user id, made printable. It `expires` when it or its last encryption key does.
    """

    fingerprint: str
    name: str
    encryption: tuple[EncryptionKey, ...]
    expires: datetime | None
    certificate: bytes = field(repr=False)
    cert: Any = field(repr=False, compare=False)

    def ends_soon(self, now: datetime) -> bool:
        """Tell whether the key should be extended by now."""
        return self.expires is not None and self.expires - now < SOON


def read_owner_key(data: bytes, now: datetime | None = None) -> OwnerKey:
    """Read a certificate, armored or binary; raises KeyRefusedError for anything else."""
    if pysequoia is None:
        raise KeyRefusedError(
            "pysequoia, which encrypts, is not installed.",
            "Install it with: pip install 'postamt-sync[seal]'",
        )
    time = now or datetime.now(UTC)
    packets = _packets(data)
    cert = _only_certificate(data)
    fingerprint = cert.fingerprint.upper()
    keys = list(_encryption_keys(packets, cert))
    usable = _usable(cert, keys, time)
    ends = [key.expires for key in usable]
    last = None if None in ends else max(end for end in ends if end is not None)
    expires = min((end for end in (cert.expiration, last) if end is not None), default=None)
    name = printable(str(cert.user_ids[0]), 200) if cert.user_ids else ""
    _try(cert, usable)
    return OwnerKey(fingerprint, name, usable, expires, bytes(cert), cert)


def encryption_fingerprints(keys: Iterable[OwnerKey]) -> tuple[str, ...]:
    """Return the sorted fingerprints that mail is encrypted for. A proof is for exactly these."""
    return tuple(sorted({key.fingerprint for owner in keys for key in owner.encryption}))


def proof_of(keys: Iterable[OwnerKey]) -> str:
    """Return the id of the proof that mail for these keys can be opened."""
    return proof_id(encryption_fingerprints(keys))


def encrypt_file(plain: str, sealed: str, keys: Sequence[OwnerKey]) -> None:
    """Encrypt a file so that each of the keys opens it; takes about 26 MB for files of any size.

    Raises KeyRefusedError if the library refuses a key.
    """
    try:
        pysequoia.encrypt_file(plain, sealed, recipients=[key.cert for key in keys], armor=False)
    except RuntimeError as error:
        raise _refused_by_library(error) from None


def canary(text: str, key: OwnerKey) -> str:
    """Return a text encrypted for one certificate, armored."""
    try:
        message: bytes = pysequoia.encrypt(text.encode(), recipients=[key.cert], armor=True)
    except RuntimeError as error:
        raise _refused_by_library(error) from None
    return message.decode()


def _packets(data: bytes) -> list[Packet]:
    if len(data) > LARGEST_FILE:
        raise KeyRefusedError(
            "It is larger than 1 MiB.", "Export the key alone: gpg --export-options export-minimal"
        )
    try:
        packets = list(PacketPile.from_bytes(data))
    except RuntimeError:
        packets = []
    secret = any(packet.tag in (Tag.SecretKey, Tag.SecretSubkey) for packet in packets)
    if secret or _SECRET.search(data):
        raise KeyRefusedError(
            "It holds a secret key, which must lie neither on this machine nor at AWS.",
            "Delete it here, and write the public one in its place: gpg --export --armor KEY",
        )
    return packets


def _only_certificate(data: bytes) -> Any:
    try:
        certs = pysequoia.Cert.split_bytes(data)
    except RuntimeError:
        certs = []
    if not certs:
        raise KeyRefusedError(
            "It is not an OpenPGP certificate (public key).",
            "Write one with: gpg --export --armor KEY, or sq cert export --cert KEY",
        )
    if len(certs) > 1 or data.count(b"-----BEGIN PGP PUBLIC KEY BLOCK") > 1:
        raise KeyRefusedError(
            f"It holds {max(len(certs), 2)} keys or more.", "Give each a file, and name each file."
        )
    return certs[0]


@dataclass(frozen=True, slots=True)
class _Bound:
    """A key of a certificate, with what the newest of its owner's signatures says about it."""

    fingerprint: str
    expires: datetime | None
    revoked: bool
    encrypts: bool


def _encryption_keys(packets: Sequence[Packet], cert: Any) -> Iterator[_Bound]:
    """Yield the keys that are for encryption, expired and revoked ones too."""
    block: list[Packet] = []
    for packet in [*packets, None]:
        if packet is None or packet.tag in (Tag.PublicKey, Tag.PublicSubkey):
            if block and (bound := _bound(block, cert.fingerprint)).encrypts:
                yield bound
            block = []
        if packet is not None:
            block.append(packet)


def _bound(block: Sequence[Packet], owner: str) -> _Bound:
    key, signatures = block[0], [p for p in block[1:] if p.tag == Tag.Signature]
    own = [s for s in signatures if _is_of(s, owner)]
    revoked = any(
        s.signature_type in (SignatureType.SubkeyRevocation, SignatureType.KeyRevocation)
        for s in own
    )
    binding = (
        *(SignatureType.SubkeyBinding, SignatureType.DirectKey),
        *(SignatureType.PositiveCertification, SignatureType.GenericCertification),
        *(SignatureType.CasualCertification, SignatureType.PersonaCertification),
    )
    said = [s for s in own if s.signature_type in binding and s.key_flags is not None]
    if not said:
        return _Bound(key.fingerprint or "", None, revoked, False)
    newest = max(said, key=lambda s: s.signature_created or datetime.min.replace(tzinfo=UTC))
    flags = newest.key_flags
    encrypts = flags is not None and (flags.transport_encryption or flags.storage_encryption)
    period, created = newest.key_validity_period, key.key_created
    expires = created + period if period and created else None
    return _Bound((key.fingerprint or "").upper(), expires, revoked, encrypts)


def _is_of(signature: Packet, owner: str) -> bool:
    issuer = (signature.issuer_fingerprint or "").lower()
    return issuer == owner.lower() or (
        not issuer and key_id(owner) == (signature.issuer_key_id or "").upper()
    )


def _usable(cert: Any, keys: Sequence[_Bound], now: datetime) -> tuple[EncryptionKey, ...]:
    if cert.is_revoked:
        raise KeyRefusedError("It was revoked.", "Export the one that took its place.")
    if cert.expiration is not None and cert.expiration <= now:
        raise KeyRefusedError(
            f"It expired on {cert.expiration:%Y-%m-%d}.",
            "Make it last longer (gpg --quick-set-expire) and export it again, or name another.",
        )
    if not keys:
        raise KeyRefusedError(
            "It is for signing only: nothing can be encrypted for it.",
            "Give it a subkey for encryption: gpg --quick-add-key FINGERPRINT cv25519 encr",
        )
    alive = [k for k in keys if not k.revoked and (k.expires is None or k.expires > now)]
    if not alive:
        why = "was revoked" if all(key.revoked for key in keys) else "expired"
        raise KeyRefusedError(
            f"Its subkey for encryption {why}.",
            "Make it last longer (gpg --quick-set-expire FINGERPRINT 2y '*') or add another, and "
            "export the key again.",
        )
    return tuple(EncryptionKey(key.fingerprint, key.expires) for key in alive)


def _try(cert: Any, usable: Sequence[EncryptionKey]) -> None:
    """Encrypt a word, and check that it is for exactly the keys that were found to be usable."""
    try:
        message = pysequoia.encrypt(b"postamt-sync", recipients=[cert], armor=False)
    except RuntimeError as error:
        raise _refused_by_library(error) from None
    if recipients_of(message) != {key_id(key.fingerprint) for key in usable}:
        raise KeyRefusedError(
            "What is encrypted for it is for other keys than those that it names.",
            "Leave only one subkey for encryption in it, and export it again.",
        )


def _refused_by_library(error: RuntimeError) -> KeyRefusedError:
    """Say what the library says, which is in the first line; the rest is its stack."""
    first = printable(next(iter(str(error).splitlines()), "of no reason"), 200)
    return KeyRefusedError(f"It cannot be encrypted for: {first}.", "Export it again, or another.")
