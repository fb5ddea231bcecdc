"""This machine's DNS servers: /etc/resolv.conf, read as the C library reads it.

A line that is not understood is skipped (resolv.conf(5); glibc, resolv/res_init.c). Only what
matters for looking up absolute names is read: the servers and their order.
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
"""MAXNS of the C library, which ignores a fourth."""
NOBODY_NAMED = ("127.0.0.1",)
"""Used if the file is missing or names no server."""
_LARGEST = 1 << 20
"""Bytes of the file that are read, at most."""

# A keyword must be at the very start of the line, and a blank or tab must follow it.
_SERVER = re.compile(rb"nameserver[ \t]+([^ \t]+)")
_OPTIONS = re.compile(rb"options[ \t](.*)")


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """The addresses of the servers, at least one, in order; and how to use them."""

    servers: tuple[str, ...] = NOBODY_NAMED
    rotate: bool = False
    """Whether to take turns instead of always asking the first one first."""


def read_resolv_conf(path: Path = RESOLV_CONF) -> ResolvConf:
    """Read the file; one that is missing or unreadable counts as empty. Never raises."""
    try:
        with path.open("rb") as file:
            return parse_resolv_conf(file.read(_LARGEST))
    except OSError:
        return ResolvConf()


def parse_resolv_conf(text: bytes) -> ResolvConf:
    """Parse the text of such a file. Never raises."""
    lines = [line.partition(b"\0")[0] for line in text.split(b"\n")]
    options = {word for line in lines if (m := _OPTIONS.match(line)) for word in m[1].split()}
    servers = tuple(_servers(lines))[:MOST_SERVERS]
    return ResolvConf(servers or NOBODY_NAMED, b"rotate" in options)


def _servers(lines: list[bytes]) -> Iterator[str]:
    for line in lines:
        if (found := _SERVER.match(line)) and (address := _address(found[1])):
            yield address


def _address(word: bytes) -> str:
    """Return the address in canonical form; "" if it is not one (a name, say)."""
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
    """Whether it is an interface of this machine; the C library drops any other scope."""
    if scope.isdigit():
        return 0 < int(scope) < 1 << 32
    try:
        return bool(scope) and socket.if_nametoindex(scope) > 0
    except OSError:
        return False
