"""Where a server listens: `0.0.0.0:8443`, `[::]:8443`, `localhost:9125`."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNIX = "unix:"
LONGEST_UNIX_PATH = 107
"""Bytes (unix(7))."""

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host (IPv6 without brackets) and a TCP port; port 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Tell whether a host, IPv6 without brackets, is this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_listen(text: object) -> ListenAddress:
    """Read `host:port`, or `[host]:port` for IPv6.

    Raises ValueError with a sentence that starts with "must".
    """
    if isinstance(text, ListenAddress):
        return text
    match = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be host:port, an IPv6 host in brackets.")
    port = int(match["port"])
    if port > 65535:
        raise ValueError("must have a port between 0 and 65535.")
    if match["v6"] is not None:
        try:
            return ListenAddress(str(ipaddress.IPv6Address(match["v6"])), port)
        except ValueError:
            raise ValueError("must have an IPv6 address between the brackets.") from None
    if not _HOST_NAME.fullmatch(match["host"]):
        raise ValueError("must name a host before the port; 0.0.0.0 and [::] mean all of them.")
    return ListenAddress(match["host"], port)


def unix_path(text: str) -> Path | None:
    """Return the path of `unix:/run/x.sock`; None where this is no Unix socket.

    Raises ValueError with a sentence that starts with "must".
    """
    if not text.startswith(UNIX):
        return None
    path = text.removeprefix(UNIX)
    if not path.startswith("/") or not path.isprintable() or path.endswith("/"):
        raise ValueError("must be unix: and the absolute path of a socket.")
    if len(path.encode()) > LONGEST_UNIX_PATH:
        raise ValueError(f"must have a path of at most {LONGEST_UNIX_PATH} bytes.")
    return Path(path)


def one_or_many(value: Any) -> Any:
    """Take one address for a list of one; the environment may write the list as JSON.

    JSON cannot be told by its first character here: `[::]:8443` is an address.
    """
    if not isinstance(value, str):
        return value
    try:
        decoded = json.loads(value)
    except ValueError:
        return [value]
    return decoded if isinstance(decoded, list) else [value]
