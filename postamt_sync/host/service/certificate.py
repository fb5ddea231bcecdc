"""The webhook's certificate: copied, after each renewal, to where the service may read it.

ACME clients keep keys where only root may read them. Each old file is replaced atomically, so the
daemon, which watches both, sees only complete files. Between the two steps it refuses the pair,
which does not match, and keeps using the old one.
"""

from __future__ import annotations

import contextlib
import grp
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from postamt_sync import atomic_file
from postamt_sync.config import Settings
from postamt_sync.errors import MisconfiguredError
from postamt_sync.host.directories import held, may_be_a_link
from postamt_sync.host.service.sealed_files import unwritable
from postamt_sync.regular_file import read_small

MODE = 0o640
"""Owned by root, readable by the service's group."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain and its key, PEM."""

    chain: Path
    key: Path

    def check(self) -> None:
        """Raise MisconfiguredError if the files cannot be read or do not belong together."""
        self._checked()

    def names(self) -> set[str]:
        """Return the host names that the certificate is for, in lower case."""
        alternative = self._alternative_names()
        if alternative is not None:
            return {name.lower() for name in alternative.get_values_for_type(x509.DNSName)}
        common = self._leaf().subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return {str(name.value).lower() for name in common}

    def addresses(self) -> set[IPv4Address | IPv6Address]:
        """Return the IP addresses that the certificate is for: its iPAddress names."""
        alternative = self._alternative_names()
        found = alternative.get_values_for_type(x509.IPAddress) if alternative else []
        return {one for one in found if isinstance(one, (IPv4Address, IPv6Address))}

    def is_for(self, host: str) -> bool:
        """Whether it is for this host: an IP address, a name, or a name that a wildcard covers."""
        if (address := _address(host)) is not None:
            return address in self.addresses()
        name = host.lower().rstrip(".")
        _, _, domain = name.partition(".")
        return bool({name, f"*.{domain}"} & self.names())

    def shown_names(self) -> list[str]:
        """Return names and addresses, sorted, to be shown."""
        return [*sorted(self.names()), *sorted(map(str, self.addresses()))]

    def _checked(self, *, links: bool = True) -> tuple[bytes, bytes]:
        """Return the contents of chain and key once they are known to be a pair.

        They are read only once, because their owner may change them. Without `links`, links that
        someone other than root may have made are not followed.
        """
        try:
            chain, key = (_read(path, links=links) for path in (self.chain, self.key))
        except OSError as error:
            raise MisconfiguredError(
                f"{self.chain} or {self.key} cannot be read ({error.strerror}).",
                "Run it as root (sudo), with the paths of the renewed files.",
            ) from error
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            with _in_memory(chain) as first, _in_memory(key) as second:
                context.load_cert_chain(first, second, password="")
        except (ssl.SSLError, ValueError) as error:
            raise MisconfiguredError(
                f"{self.chain} and {self.key} are not a certificate chain and its key.",
                "Name two PEM files, the key without a password and that of this certificate.",
            ) from error
        return chain, key

    def _leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificates(_read(self.chain, links=True))[0]

    def _alternative_names(self) -> x509.SubjectAlternativeName | None:
        with contextlib.suppress(x509.ExtensionNotFound):
            extensions = self._leaf().extensions
            return extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return None

    def copy_to(self, target: Pair, group: str) -> None:
        """Check this pair, then replace the target's files; both are durable on return.

        Raises MisconfiguredError, leaving the old pair, if this one is unusable.
        """
        chain, key = self._checked(links=False)
        for content, path in ((key, target.key), (chain, target.chain)):
            try:
                owner = (os.geteuid(), grp.getgrnam(group).gr_gid)
                with held(path.parent) as place:
                    atomic_file.write(place / path.name, content, MODE, owner=owner)
            except KeyError:
                raise MisconfiguredError(
                    f"There is no group {group}.", "Run first: sudo postamt-sync service install"
                ) from None
            except OSError as error:
                raise unwritable(path, error) from error


def _read(path: Path, *, links: bool) -> bytes:
    if links:
        return read_small(path, links=True)
    with held(path.parent) as place:
        return read_small(place / path.name, links=may_be_a_link(place))


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """Yield the path of a file that exists only in memory."""
    with os.fdopen(os.memfd_create("pem"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def webhook_pair(settings: Settings) -> Pair | None:
    """Return where the webhook reads its certificate; None if it speaks plain HTTP or there is
    none."""
    webhook = settings.webhook
    if webhook is None or webhook.tls_certificate is None or webhook.tls_key is None:
        return None
    return Pair(webhook.tls_certificate, webhook.tls_key)


def webhook_host(settings: Settings) -> str:
    """Return the host name at which SNS reaches us, in lower case; "" without a webhook."""
    url = settings.webhook.public_url if settings.webhook else ""
    return (urlsplit(url).hostname or "").lower()


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """Parse an IP address in any spelling, with or without the brackets of a URL."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return None
