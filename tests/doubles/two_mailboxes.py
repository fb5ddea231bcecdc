"""The smallest household of more than one: Anna, who gets what is left over, and Bruno."""

from __future__ import annotations

from pathlib import Path

CONFIGURATION = """
state_dir = "{root}/state"
[aws]
region = "eu-west-1"
[bucket]
name = "mail"
[[mailboxes]]
name = "anna"
maildir = "{root}/anna"
addresses = ["anna@example.com"]
default = true
[[mailboxes]]
name = "bruno"
maildir = "{root}/bruno"
addresses = ["bruno@example.com"]
"""


def configured(root: Path) -> Path:
    """Write the configuration into a directory, and return its path."""
    path = root / "config.toml"
    path.write_text(CONFIGURATION.format(root=root))
    return path
