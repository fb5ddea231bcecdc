"""Whom this machine asks about names: /etc/resolv.conf, read as the C library reads it.

What it does not understand it passes over, line by line (resolv.conf(5); glibc, resolv/res_init.c).
Only what concerns a question for an absolute name is read: the servers, and in which order.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
MOST_SERVERS = 3
"""MAXNS of the C library, which asks no fourth."""
NOBODY_NAMED = ("127.0.0.1",)
"""Asked where the file is missing or names nobody."""
_LARGEST = 1 << 20
"""Bytes of the file that are read."""

# A keyword begins its line, and one blank or tab must follow at once.
_SERVER = re.compile(rb"nameserver[ \t]+([^ \t]+)")
_OPTIONS = re.compile(rb"options[ \t](.*)")


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """The servers to ask, at least one, each an address, in their order; and how."""

    servers: tuple[str, ...] = NOBODY_NAMED
    rotate: bool = False
    """Whether not always the first one is asked first."""


def read_resolv_conf(path: Path = RESOLV_CONF) -> ResolvConf:
    """Read the file; one that is missing or cannot be read names nobody. Never raises."""
    try:
        with path.open("rb") as file:
            return parse_resolv_conf(file.read(_LARGEST))
    except OSError:
        return ResolvConf()


def parse_resolv_conf(text: bytes) -> ResolvConf:
    """Return what the text of such a file says; never raises."""
    lines = [line.partition(b"\0")[0] for line in text.split(b"\n")]
    options = {word for line in lines if (m := _OPTIONS.match(line)) for word in m[1].split()}
    servers = tuple(_servers(lines))[:MOST_SERVERS]
    return ResolvConf(servers or NOBODY_NAMED, b"rotate" in options)


def _servers(lines: list[bytes]) -> Iterator[str]:
    for line in lines:
        if (found := _SERVER.match(line)) and (address := _address(found[1])):
            yield address


def _address(word: bytes) -> str:
    """Return the address in the form that everybody reads; "" where it is none, a name say."""
    text = word.decode("ascii", "replace")
    if not text.isascii() or not text.isprintable():
        return ""
    with contextlib.suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(text))  # 127.1 too
    plain, _, scope = text.partition("%")
    try:
        address = str(ipaddress.IPv6Address(plain))
    except ValueError:
        return ""
    return f"{address}%{scope}" if _is_scope(scope) else address


def _is_scope(scope: str) -> bool:
    """Whether it is an interface of this machine; the C library forgets any other."""
    if scope.isdigit():
        return 0 < int(scope) < 1 << 32
    try:
        return bool(scope) and socket.if_nametoindex(scope) > 0
    except OSError:
        return False
