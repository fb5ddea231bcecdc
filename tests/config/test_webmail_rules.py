"""The webmail's name: one that can be proven to be ours, and that nothing else has."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.config import load
from postamt_sync.errors import ConfigurationError
from tests.support.household import configuration

SECTIONS = """\
[stack]
domains = ["example.com", "example.org"]
[home]
imap_host = "imap.example.com"
[webhook]
public_url = "https://home.example.com:8443/sns"
topic_arn = "arn:aws:sns:eu-west-1:123456789012:postamt"
"""
TEXT = configuration(Path("/var/mail"), SECTIONS, people=("anna",)) + "[webmail]\n"


def refused(path: Path, webmail: str, text: str = TEXT) -> str:
    (path / "config.toml").write_text(text + webmail)
    with pytest.raises(ConfigurationError) as caught:
        load(path / "config.toml", {})
    return " ".join(map(str, caught.value.problems))


def test_off_by_default_and_no_name_is_needed(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(TEXT)
    assert not load(tmp_path / "config.toml", {}).webmail.enabled


@pytest.mark.parametrize("host", ["webmail.example.com", "a.b.example.org", "example.org"])
def test_a_name_below_one_of_our_domains_or_that_itself(tmp_path: Path, host: str) -> None:
    (tmp_path / "config.toml").write_text(f'{TEXT}enabled = true\nhost = "{host}"\n')
    assert load(tmp_path / "config.toml", {}).webmail.host == host


def test_it_is_read_as_a_person_writes_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'{TEXT}enabled = true\nhost = "Webmail.Example.COM."\n')
    assert load(tmp_path / "config.toml", {}).webmail.host == "webmail.example.com"


def test_needed_when_it_is_enabled(tmp_path: Path) -> None:
    said = refused(tmp_path, "enabled = true\n")
    assert "webmail.host: is missing" in said
    assert 'host = "webmail.example.com"' in said


@pytest.mark.parametrize("host", ["webmail.example.net", "notexample.com", "com.example.com.net"])
def test_a_name_of_nobody_is_refused(tmp_path: Path, host: str) -> None:
    said = refused(tmp_path, f'enabled = true\nhost = "{host}"\n')
    assert "stack.domains (example.com, example.org)" in said


@pytest.mark.parametrize("host", ["nodot", "https://webmail.example.com", "a b.example.com", "*"])
def test_what_is_no_host_name(tmp_path: Path, host: str) -> None:
    assert "webmail.host" in refused(tmp_path, f'enabled = true\nhost = "{host}"\n')


@pytest.mark.parametrize(
    ("host", "option"),
    [
        ("bounce.example.org", "stack.mail_from"),
        ("imap.example.com", "home.imap_host"),
        ("home.example.com", "webhook.public_url"),
    ],
)
def test_a_name_that_something_else_has(tmp_path: Path, host: str, option: str) -> None:
    assert option in refused(tmp_path, f'enabled = true\nhost = "{host}"\n')


def test_domains_are_needed_too(tmp_path: Path) -> None:
    bare = TEXT.replace('domains = ["example.com", "example.org"]', "")
    said = refused(tmp_path, 'enabled = true\nhost = "webmail.example.com"\n', bare)
    assert "stack.domains" in said


BUCKET = '[bucket]\nname = "mail"\n'


@pytest.mark.parametrize("prefix", ["sent/", "outbox/", "sent/anna/", ""])
@pytest.mark.parametrize("option", ["prefix", "recent_prefix"])
def test_what_comes_lies_beside_what_is_sent(tmp_path: Path, option: str, prefix: str) -> None:
    said = f'{option} = "{prefix}"\n'
    text = TEXT.replace(BUCKET, BUCKET + said)
    assert said in text
    (tmp_path / "config.toml").write_text(text)
    load(tmp_path / "config.toml", {})  # without a webmail
    if option == "recent_prefix" and not prefix:
        return
    said = refused(tmp_path, 'enabled = true\nhost = "webmail.example.com"\n', text)
    assert f"bucket.{option}: must lie beside" in said
