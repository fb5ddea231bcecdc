"""Talking to systemd, where it started us: readiness, status, watchdog, inherited sockets.

The protocols are one datagram and three variables (sd_notify(3), sd_listen_fds(3)); everywhere else
nothing happens.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

FIRST_INHERITED = 3
ROOM_WITHIN = 2.0
"""Seconds in which systemd, busy with others, has to make room for a notice that it waits for."""


class Systemd:
    """The service manager that the environment names, if any."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._listen_pid = environ.get("LISTEN_PID", "")
        self._listen_fds = environ.get("LISTEN_FDS", "")
        for_us = environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        usec = environ.get("WATCHDOG_USEC", "")
        half = int(usec) / 2e6 if usec.isdecimal() and for_us else 0.0
        self.watchdog_interval = half or None
        """Seconds between signs of life that systemd is content with; None: it wants none."""

    def ready(self, status: str) -> None:
        """The service is up, or has finished a reload."""
        self._send(f"READY=1\nSTATUS={status}", ROOM_WITHIN)

    def status(self, status: str) -> None:
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", ROOM_WITHIN)

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping", ROOM_WITHIN)

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def inherited_sockets(self) -> list[socket.socket]:
        """Return the listening sockets of socket activation, in the unit's order.

        They may be closed and asked for again: the port stays open as long as this process lives.
        """
        if self._listen_pid != str(os.getpid()) or not self._listen_fds.isdecimal():
            return []
        fds = range(FIRST_INHERITED, FIRST_INHERITED + int(self._listen_fds))
        for fd in fds:
            os.set_inheritable(fd, False)
        return [socket.socket(fileno=os.dup(fd)) for fd in fds]

    def _send(self, message: str, room_within: float = 0.0) -> None:
        if not self._address:
            return
        # A leading @ means the abstract namespace, which begins with a NUL.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(room_within)
                sender.sendto(message.encode(), address)
        except OSError:
            return  # Nobody listens, or reads: that must not stop the mail.
