"""`config.example.toml` is what a newcomer copies: it is complete, and it is right as it stands."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

from postamt_sync.config import load
from postamt_sync.config.examine import options

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def test_it_is_valid_as_it_is() -> None:
    settings = load(EXAMPLE, {})
    assert settings.default_mailbox.name == "thomas"
    assert settings.bucket.recent_prefix == "recent/"


def test_it_names_every_option_and_no_other() -> None:
    named = set()
    for table, value in tomllib.loads(EXAMPLE.read_text()).items():
        inner = value[0] if isinstance(value, list) else value
        named |= {f"{table}.{option}" for option in inner} if isinstance(inner, dict) else {table}
    assert named == {key for key, _ in options()}


def test_it_explains_every_option() -> None:
    lines = EXAMPLE.read_text().splitlines()
    unexplained = [
        line
        for before, line in itertools.pairwise(lines)
        if re.match(r"[a-z_]+ =", line) and not before.startswith(("#", "tls_certificate ="))
    ]
    assert unexplained == []


def test_it_states_the_defaults() -> None:
    text = EXAMPLE.read_text()
    for key, field in options():
        name = key.rpartition(".")[2]
        above = text[: re.search(rf"(?m)^{name} =", text).start()].rpartition("\n\n")[2]
        assert ("Required." in above) or ("Default: " in above), key
        if field.is_required():
            assert "Required." in above, key
