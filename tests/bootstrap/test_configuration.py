"""What is written for a household loads, and asks for the very stack that it was written for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from postamt_sync.bootstrap.configuration import ConfigDrift, Home, configuration
from postamt_sync.bootstrap.open_stack import stack_of
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.config import Settings, load
from tests.doubles.account import ACCOUNT, stack

OPEN = "https://home.example.com/sns"
HOMES: dict[str, tuple[Stack, Home]] = {
    "one person": (stack(), Home(("ann",))),
    "a family": (stack(), Home(("ann", "bob", "c.d-e_f"))),
    "two domains": (stack(domains=("example.com", "example.org")), Home(("ann", "bob"))),
    "no open port": (stack(public_url=""), Home(("ann",))),
    "behind a proxy": (stack(public_url=OPEN), Home(("ann",), proxied=True)),
    "a port of its own": (stack(public_url="https://home.example.com:9443/a/b"), Home(("ann",))),
    "no path": (stack(public_url="https://home.example.com"), Home(("ann",))),
    "a place to listen": (stack(), Home(("ann",), listen=("127.0.0.1:9000",))),
    "other directories": (stack(), Home(("ann",), maildirs="/srv/my mail", state_dir="/srv/s")),
    "another name": (stack("mail-of-ours"), Home(("ann",))),
    "another bucket": (stack(bucket="family-mail"), Home(("ann",))),
}


def urls(wanted: Stack) -> Mapping[str, str]:
    return {q: wanted.queue_url(q) for q in (wanted.queue, wanted.dead_letter_queue)}


def loaded(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load(path, {})


@pytest.mark.parametrize("name", HOMES)
def test_it_loads_and_asks_for_the_same_stack(tmp_path: Path, name: str) -> None:
    wanted, home = HOMES[name]
    settings = loaded(tmp_path, configuration(wanted, home, urls(wanted)))
    found = stack_of(settings, ACCOUNT)
    assert replace(found, handed=None) == replace(wanted, sealed_prefix="sealed/")
    assert found.handed is not None
    assert [a.name for a in found.handed.addressees] == list(home.mailboxes)
    assert [mailbox.name for mailbox in settings.mailboxes] == list(home.mailboxes)
    assert [mailbox.default for mailbox in settings.mailboxes].index(True) == 0
    assert list(ConfigDrift(wanted, settings, urls(wanted)).plan()) == []


def test_every_mailbox_has_an_address_in_every_domain(tmp_path: Path) -> None:
    wanted, home = HOMES["two domains"]
    ann, bob = loaded(tmp_path, configuration(wanted, home, urls(wanted))).mailboxes
    assert list(ann.addresses) == ["ann@example.com", "ann@example.org"]
    assert list(bob.addresses) == ["bob@example.com", "bob@example.org"]
    assert ann.maildir != bob.maildir


def test_the_router_is_told_of_where_the_port_is_another(tmp_path: Path) -> None:
    wanted, home = HOMES["one person"]
    text = configuration(wanted, home, urls(wanted))
    assert "# Let the router forward port 443 to port 8443 of this machine." in text
    wanted, home = HOMES["a port of its own"]
    assert "router" not in configuration(wanted, home, urls(wanted))


def test_what_differs_from_the_stack_is_told(tmp_path: Path) -> None:
    wanted, home = HOMES["one person"]
    text = configuration(wanted, home, urls(wanted)).replace('"recent/"', '"new/"')
    settings = loaded(tmp_path, text)
    (note,) = ConfigDrift(wanted, settings, urls(wanted)).plan()
    assert note.message == 'bucket.recent_prefix is "new/"; the stack\'s is "recent/"'  # type: ignore[union-attr] # a note
