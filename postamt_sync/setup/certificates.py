"""Certificates on the box: certbot's if there is one, else self-signed, so that Dovecot can
start."""

from __future__ import annotations

import datetime as dt
import enum
import shlex
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from postamt_sync import atomic_file
from postamt_sync.errors import MisconfiguredError
from postamt_sync.host.directories import held, make_open
from postamt_sync.host.service.certificate import Pair
from postamt_sync.host.service.sealed_files import SealedFile, unwritable
from postamt_sync.host.service.steps import to_write

DAYS = 3650
"""How long a self-signed certificate is valid: nobody renews it, and clients remember it."""
HOOK = """\
#!/bin/sh
# Takes a renewed certificate of {host} to where Dovecot reads it. certbot's deploy hook; any other
# client runs it as: imap-certificate-renewed FULLCHAIN PRIVKEY
set -eu
umask 077
chain=${{1:-${{RENEWED_LINEAGE:-}}/fullchain.pem}}
key=${{2:-${{RENEWED_LINEAGE:-}}/privkey.pem}}
if [ -n "${{RENEWED_DOMAINS:-}}" ]; then
    case " $RENEWED_DOMAINS " in *" "{host}" "*) ;; *) exit 0 ;; esac
fi
cp -- "$key" {key}.new
cp -- "$chain" {chain}.new
mv -f -- {key}.new {key}
mv -f -- {chain}.new {chain}
systemctl reload-or-restart dovecot
"""


class Origin(enum.StrEnum):
    """Where a certificate came from, as what "the certificate of HOST" goes on with."""

    THERE = "is there"
    CERTBOT = "is certbot's"
    SELF_SIGNED = "was made here, so clients ask about it once"


def settle(target: Pair, host: str, group: str, etc: Path = Path("/etc")) -> Origin:
    """Make sure that there is a certificate at `target`: the existing one, certbot's, or a new
    self-signed one. Return which; durable on return. Raises PostamtError."""
    if target.chain.exists() and target.key.exists():
        return Origin.THERE
    lineage = etc / "letsencrypt/live" / host
    issued = Pair(lineage / "fullchain.pem", lineage / "privkey.pem")
    try:
        for directory in {target.chain.parent, target.key.parent}:
            make_open(directory)
        if issued.chain.exists():
            issued.copy_to(target, group)
            return Origin.CERTBOT
        chain, key = self_signed(host)
        for path, text, mode in (
            (target.key, key, atomic_file.PRIVATE),
            (target.chain, chain, atomic_file.PUBLIC),
        ):
            with held(path.parent) as place:
                atomic_file.write(place / path.name, text, mode)
    except OSError as error:
        raise unwritable(target.chain, error) from error
    return Origin.SELF_SIGNED


def self_signed(host: str) -> tuple[bytes, bytes]:
    """Return a new self-signed certificate for a host and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return built.public_bytes(serialization.Encoding.PEM), secret


def put_hooks(target: Pair, host: str, etc: Path = Path("/etc")) -> None:
    """Install the hooks that copy a renewed certificate, for certbot and for other ACME clients."""
    chain, key = (shlex.quote(str(path)) for path in (target.chain, target.key))
    text = HOOK.format(host=host, chain=chain, key=key)
    for path in (
        etc / "postamt-sync/imap-certificate-renewed",
        etc / "letsencrypt/renewal-hooks/deploy/postamt-sync-imap",
    ):
        to_write(SealedFile.of(path, text, 0o755)).do()


def refuse_missing(pair: Pair) -> None:
    """Raise MisconfiguredError if the certificate or its key does not exist."""
    for path in (pair.chain, pair.key):
        if not path.exists():
            raise MisconfiguredError(
                f"There is no {path} on this machine.",
                "Put it there and join again; or have one made: postamt-sync setup "
                "--certificate none --new-bundle",
            )
