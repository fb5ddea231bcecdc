"""What sealing asks of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.config import load
from postamt_sync.errors import ConfigurationError
from tests.support.household import configuration, configure


def written(tmp_path: Path, bucket: str = "", seal: str = "") -> Path:
    more = f"{bucket}\n[seal]\n{seal}\n"
    text = configuration(Path("/mail"), more, people=("anna",), bucket="mail-of-ours")
    return configure(tmp_path, text)


def problems(path: Path) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as raised:
        load(path, {})
    return {problem.key: str(problem) for problem in raised.value.problems}


def test_nothing_is_sealed_unless_it_is_said(tmp_path: Path) -> None:
    settings = load(written(tmp_path), {})
    assert not settings.seal.enabled
    assert settings.seal_table == ""
    assert settings.seal_keys == ()
    assert settings.bucket.sealed_prefix == "sealed/"
    assert not settings.bucket.kms


def test_keys_lie_beside_the_configuration(tmp_path: Path) -> None:
    keys = f'keys = ["owner.asc", "keys/backup.asc", "{tmp_path}/third.asc"]'
    settings = load(written(tmp_path, seal=keys), {})
    beside = ("owner.asc", "keys/backup.asc", "third.asc")
    assert settings.seal_keys == tuple(tmp_path / name for name in beside)
    assert settings.seal_table == "postamt-seal"
    assert (settings.seal.after, settings.seal.undo, settings.seal.index) == (14, 14, "strip")


def test_keys_can_come_from_the_environment(tmp_path: Path) -> None:
    environ = {"POSTAMT_SYNC_SEAL__KEYS": '["a.asc", "b.asc"]'}
    assert load(written(tmp_path), environ).seal.keys == ("a.asc", "b.asc")
    environ = {"POSTAMT_SYNC_SEAL__KEYS": "a.asc"}
    assert load(written(tmp_path), environ).seal.keys == ("a.asc",)


@pytest.mark.parametrize(
    "sealed",
    ["", "incoming/", "incoming/sealed/", "recent/x/", "sent/", "outbox/sealed/", "/sealed/", "s"],
)
def test_sealed_mail_lies_beside_all_other(tmp_path: Path, sealed: str) -> None:
    bucket = f'recent_prefix = "recent/"\nsealed_prefix = "{sealed}"'
    assert "bucket.sealed_prefix" in problems(written(tmp_path, bucket, 'keys = ["owner.asc"]'))


def test_where_nothing_is_sealed_the_place_is_nobodys_concern(tmp_path: Path) -> None:
    assert load(written(tmp_path, 'prefix = ""'), {})
    assert load(written(tmp_path, 'sealed_prefix = ""'), {})
    assert load(written(tmp_path, 'prefix = "sealed/"'), {})


def test_the_whole_bucket_cannot_be_sealed(tmp_path: Path) -> None:
    assert "bucket.prefix" in problems(written(tmp_path, 'prefix = ""', 'keys = ["owner.asc"]'))


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ('keys = ["a.asc", "a.asc"]', "seal.keys"),
        ('keys = [""]', "seal.keys"),
        ('keys = ["-----BEGIN PGP PUBLIC KEY BLOCK-----"]', "seal.keys"),
        ("keys = [1]", "seal.keys"),
        ("after = 0", "seal.after"),
        ("after = 14.5", "seal.after"),
        ("undo = 366", "seal.undo"),
        ('index = "drop"', "seal.index"),
        ('key = "a.asc"', "seal.key"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, option: str, key: str) -> None:
    assert any(found.startswith(key) for found in problems(written(tmp_path, seal=option)))
