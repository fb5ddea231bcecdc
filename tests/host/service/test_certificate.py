"""Copying a renewed certificate."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

import pytest

from postamt_sync.errors import MisconfiguredError
from postamt_sync.host.service.certificate import Pair
from tests.doubles.sns import certificate_pem, key_pem, private_key

GROUP = grp.getgrgid(os.getegid()).gr_name


def issued(place: Path, name: str = "home.example.com", number: int = 0, key_of: int = 0) -> Pair:
    place.mkdir(exist_ok=True)
    pair = Pair(place / "fullchain.pem", place / "privkey.pem")
    pair.chain.write_bytes(certificate_pem(private_key(number), name=name))
    pair.key.write_bytes(key_pem(private_key(key_of or number)))
    return pair


@pytest.fixture
def target(tmp_path: Path) -> Pair:
    return issued(tmp_path / "tls", number=1)


def test_both_files_are_replaced_for_the_group_alone(tmp_path: Path, target: Pair) -> None:
    renewed = issued(tmp_path / "live", number=2)
    renewed.copy_to(target, GROUP)
    assert target.chain.read_bytes() == renewed.chain.read_bytes()
    assert target.key.read_bytes() == renewed.key.read_bytes()
    assert stat.S_IMODE(target.key.stat().st_mode) == 0o640
    assert {path.name for path in target.key.parent.iterdir()} == {"fullchain.pem", "privkey.pem"}


@pytest.mark.parametrize("spoil", ["pair", "half", "missing", "password"])
def test_a_broken_pair_leaves_the_old_one(tmp_path: Path, target: Pair, spoil: str) -> None:
    before = target.chain.read_bytes(), target.key.read_bytes()
    renewed = issued(tmp_path / "live", number=2, key_of=3 if spoil == "pair" else 0)
    if spoil == "half":
        renewed.chain.write_bytes(renewed.chain.read_bytes()[:400])
    if spoil == "missing":
        renewed.key.unlink()
    if spoil == "password":
        renewed.key.write_bytes(key_pem(private_key(2), b"secret"))
    with pytest.raises(MisconfiguredError):
        renewed.copy_to(target, GROUP)
    assert (target.chain.read_bytes(), target.key.read_bytes()) == before


def test_a_missing_place_and_a_missing_group_are_explained(tmp_path: Path, target: Pair) -> None:
    nowhere = Pair(tmp_path / "no/chain.pem", tmp_path / "no/key.pem")
    with pytest.raises(MisconfiguredError, match="cannot be written"):
        target.copy_to(nowhere, GROUP)
    with pytest.raises(MisconfiguredError, match="no group"):
        target.copy_to(target, "no-such-group")


@pytest.mark.parametrize(
    ("name", "host", "ours"),
    [
        ("home.example.com", "home.example.com", True),
        ("Home.Example.com", "home.example.com", True),
        ("*.example.com", "home.example.com", True),
        ("*.example.com", "a.home.example.com", False),
        ("example.com", "home.example.com", False),
    ],
)
def test_a_certificate_is_for_its_names(tmp_path: Path, name: str, host: str, ours: bool) -> None:
    assert issued(tmp_path / "live", name=name).is_for(host) is ours


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::7", True),
        ("2001:DB8:0:0::7", True),
        ("2001:0db8:0000:0000:0000:0000:0000:0007", True),
        ("[2001:db8::7]", True),
        ("2001:db8::192.0.2.9", True),
        ("2001:db8::8", False),
        ("::ffff:192.0.2.7", False),
        ("198.51.100.7", False),
        ("10.51.100.7", False),
        ("home.example.com", True),
    ],
)
def test_an_address_is_compared_with_the_addresses_alone(
    tmp_path: Path, host: str, ours: bool
) -> None:
    pair = issued(tmp_path / "live")
    names = {"home.example.com": ["192.0.2.7", "2001:db8::7", "2001:db8::c000:209"]}
    ((name, addresses),) = names.items()
    pair.chain.write_bytes(certificate_pem(private_key(), name=name, addresses=addresses))
    assert pair.is_for(host) is ours


@pytest.mark.parametrize("name", ["198.51.100.7", "*.51.100.7"])
def test_a_name_that_looks_like_an_address_is_none(tmp_path: Path, name: str) -> None:
    assert not issued(tmp_path / "live", name=name).is_for("198.51.100.7")
