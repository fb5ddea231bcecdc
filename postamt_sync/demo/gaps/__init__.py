"""Adds to the emulator what it lacks of AWS, as far as the stack needs it, including refusals.

Only the emulator's process imports this. The answers of a service are extended by subclasses of
moto's classes (`service_answers.py`). Its models are patched in place, since moto creates them by
name. moto's own server, parsers and serializers do the rest.
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
