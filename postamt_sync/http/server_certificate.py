"""The certificate that a listener shows: what its peers see, whatever lies in the file by now."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from postamt_sync.errors import MisconfiguredError
from postamt_sync.http.sockets import tls_context
from postamt_sync.regular_file import read_small

ATTEMPTS = 5
"""A renewal may replace the files while they are read."""


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A chain as it was read (PEM), from where, and the context that shows it."""

    path: Path
    chain: bytes
    context: ssl.SSLContext

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Self:
        """Read a chain and its key; raises MisconfiguredError if they cannot be used together."""
        before = _content(certificate)
        for _ in range(ATTEMPTS):
            context = tls_context(certificate, key)
            after = _content(certificate)
            if after == before:
                return cls(certificate, after, context)
            before = after
        raise MisconfiguredError(
            f"The TLS certificate {certificate} changes while it is read.",
            "Let whatever writes it come to an end.",
        )


def _content(path: Path) -> bytes:
    try:
        return read_small(path, links=True)
    except OSError:
        return b""  # whoever loads it says why
