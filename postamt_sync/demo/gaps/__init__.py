"""What the emulator lacks of AWS, added to it: as much as the stack asks for, faults included.

Only the emulator's process imports this: moto's classes are extended in place, and moto's own
server, parsers and serializers do the rest.
"""

from __future__ import annotations

from postamt_sync.demo.gaps import (
    attributes,
    certificates,
    edge,
    http_apis,
    identities,
    outgoing,
    permissions,
    rules,
)

_GAPS = (attributes, certificates, edge, http_apis, identities, outgoing, permissions, rules)


def install() -> None:
    """Extend moto; call it once, before the server starts."""
    for gap in _GAPS:
        gap.install()
