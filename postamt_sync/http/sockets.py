"""Where strangers reach us: the sockets of the addresses, and the certificate shown there."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.regular_file import read_small

_SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_FOR_NOW = {socket.EAI_AGAIN, socket.EAI_MEMORY, socket.EAI_SYSTEM}

_Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def bind(
    addresses: Sequence[tuple[str, int]], option: str = "webhook.listen"
) -> list[socket.socket]:
    """Return one bound socket for each (host, port); a name is bound wherever it leads.

    `0.0.0.0` and `::` of one port stand side by side: `::` takes IPv6 only. Raises TryLaterError
    where another program has the port, MisconfiguredError where the address can never be had; then
    none is left bound. `option` is where the addresses are configured.
    """
    bound: list[socket.socket] = []
    try:
        for host, port in addresses:
            shown = f"[{host}]" if ":" in host else host
            for family, address in _resolve(host, port, option):
                try:
                    bound.append(_bind(family, address))
                except OSError as error:
                    raise _unusable(error, shown, port, option) from error
    except PostamtError:
        for listening in bound:
            listening.close()
        raise
    return bound


def bind_unix(path: Path, option: str) -> socket.socket:
    """Return a bound Unix socket, for its owner and group alone; one that nobody serves makes room.

    Raises TryLaterError where another program serves it, MisconfiguredError where it cannot be.
    """
    try:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        raise _unusable(error, str(path), 0, option) from error
    try:
        if path.is_socket():
            _refuse_if_served(path, option)
            path.unlink()
        listening.bind(str(path))
        path.chmod(0o660)  # until then the umask keeps others out, who would have to write
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise MisconfiguredError(
            f"We cannot listen on {path}: {error.strerror or error}.",
            f"Make its directory, writable for the user we run as, or choose another in {option}.",
        ) from error
    except BaseException:
        listening.close()
        raise
    return listening


def _refuse_if_served(path: Path, option: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1)
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            return
    raise TryLaterError(
        f"Another program listens on {path} already.",
        f"Stop it, or choose another path in {option}.",
    )


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Read a certificate chain and its key, both PEM; TLS 1.2 or later.

    Raises MisconfiguredError if they cannot be read or do not belong together, TryLaterError where
    only the system is short of something.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key):
        try:
            read_small(path, links=True)
        except OSError as error:
            if error.errno in _SHORTAGES:
                raise _short_of(error, f"read {path}") from error
            raise MisconfiguredError(
                f"The TLS file {path} cannot be read: {os.strerror(error.errno or 0)}.",
                "Correct webhook.tls_certificate and webhook.tls_key, or the files' permissions.",
            ) from error
    try:
        # Without a password OpenSSL would ask for one on the terminal, and wait.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise MisconfiguredError(
            f"The TLS certificate {certificate} and the key {key} cannot be used together.",
            "Name two PEM files, the key without a password and that of this certificate.",
        ) from error
    return context


def _resolve(host: str, port: int, option: str) -> list[tuple[int, _Address]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        if (lacking := _lacking(error)) is not None:
            raise _short_of(lacking, f"look {host} up") from error
        raise MisconfiguredError(
            f"The host {host} of {option} is not known on this machine.",
            f"Use an address of this machine{_everywhere(option)}.",
        ) from error
    return [(family, address) for family, _, _, _, address in found]


def _lacking(error: OSError) -> OSError | None:
    """Return what this process is short of for now, None if that is not why a host is not found.

    Who looks a name up without a descriptor says that there is no such name.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as shortage:
        return shortage
    return error if error.errno in _FOR_NOW else None


def _short_of(error: OSError, what: str) -> TryLaterError:
    return TryLaterError(
        f"The system has nothing left to {what} with ({error.strerror}).",
        "Raise LimitNOFILE= of the service (systemctl edit postamt-sync), or end what uses it up.",
    )


def _bind(family: int, address: _Address) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _unusable(error: OSError, host: str, port: int, option: str) -> PostamtError:
    if error.errno in _SHORTAGES:
        return _short_of(error, f"listen on {host}")
    if error.errno == errno.EADDRINUSE:
        return TryLaterError(
            f"Another program listens on {host}:{port} already.",
            f"Stop it, or choose another port in {option}.",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return MisconfiguredError(
            f"We may not listen on {host}:{port}.",
            f"Choose a port above 1023 in {option}, or let systemd open it (socket unit).",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return MisconfiguredError(
            f"This machine does not have the address {host}.",
            f"Use one that it has in {option}{_everywhere(option)}.",
        )
    if error.errno == errno.EAFNOSUPPORT:
        return MisconfiguredError(
            f"This machine has no IPv6 for {host}:{port}.",
            f"Take the IPv6 addresses out of {option}.",
        )
    return MisconfiguredError(
        f"We cannot listen on {host}:{port}: {error.strerror}.", f"Correct {option}."
    )


def _everywhere(option: str) -> str:
    return ", or 0.0.0.0 and [::] for all of them" if option == "webhook.listen" else ""
