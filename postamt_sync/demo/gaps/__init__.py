"""What the emulator lacks of AWS, added to it: as much as the stack asks for, faults included.

Only the emulator's process imports this. What a service answers is extended by subclasses of moto's
classes (`service_answers.py`), its models, which moto makes by their names, in place. moto's own
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

_GAPS = (attributes, certificates, edge, http_apis, identities, outgoing, rules, permissions)


def install() -> None:
    """Extend moto; call it once, before the server starts."""
    for gap in _GAPS:
        gap.install()
