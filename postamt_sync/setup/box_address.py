"""The address at which mail clients reach this machine, and whether its name resolves."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from postamt_sync.threads import LateCallError, call_within

SECONDS = 6.0
"""The longest to wait for a resolver, because a person is waiting."""
IMAPS = 993


def leads_nowhere(
    host: str, ask: Callable[..., Any] = socket.getaddrinfo, seconds: float = SECONDS
) -> bool:
    """Whether a name has no address, as seen from here. Blocking; without an answer in time, the
    name gets the benefit of the doubt."""
    try:
        call_within(seconds, lambda: ask(host, IMAPS, type=socket.SOCK_STREAM), "look-up")
    except LateCallError:
        return False
    except socket.gaierror as error:
        return error.errno != socket.EAI_AGAIN
    except (OSError, UnicodeError):
        return False
    return False


def own_address() -> str:
    """Return this machine's address in its own network, "" if it has none; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", IMAPS))  # TEST-NET-1: this only looks up a route
            address = str(asking.getsockname()[0])
        except OSError:
            return ""
    return "" if address.startswith(("0.", "127.")) else address
