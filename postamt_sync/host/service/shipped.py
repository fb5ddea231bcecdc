"""The files that travel with the program: unit files, hooks, the example configuration.

In a wheel they lie beside this module, in a checkout at the root of the repository. Those for
systemd are valid as they stand, for the installation that the README recommends.
"""

from __future__ import annotations

from pathlib import Path

EXAMPLE = "config.example.toml"

_HERE = Path(__file__).parent
_CHECKOUT = _HERE.parents[2]


def shipped(name: str) -> str:
    """Return the text of `systemd/<name>`, or of the example configuration."""
    path = Path(name) if name == EXAMPLE else Path("systemd", name)
    packed = _HERE / path
    return (packed if packed.exists() else _CHECKOUT / path).read_text()
