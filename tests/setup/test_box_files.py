"""What join puts on the box: configuration and keys, certificates, and the first mail."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from postamt_sync.errors import (
    MisconfiguredError,
    PostamtError,
    TryLaterError,
    UsageError,
    unwritable,
)
from postamt_sync.host.service.certificate import Pair
from postamt_sync.host.service.program import EXAMPLE, shipped
from postamt_sync.mail.headers import ses_headers
from postamt_sync.setup.bundle import Bundle
from postamt_sync.setup.certificates import Origin, put_hooks, refuse_missing, settle
from postamt_sync.setup.first_mail import first_mail
from postamt_sync.setup.placed_files import place, refuse_other_release
from tests.support.household import configuration

FILES = {"config.toml": "x = 1\n", "credentials": "s", "smtp-credentials": "t"}


def test_keys_are_private_and_a_second_time_writes_nothing(tmp_path: Path) -> None:
    etc = tmp_path / "postamt-sync"
    assert [path.name for path in place(Bundle(FILES), etc)][-1] == "config.toml"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in etc.iterdir()}
    assert modes == {"config.toml": 0o644, "credentials": 0o600, "smtp-credentials": 0o600}
    assert place(Bundle(FILES), etc) == []


def test_a_configuration_of_another_release_is_refused_before_it_is_put_in_place(
    tmp_path: Path,
) -> None:
    text = configuration(tmp_path, people=["anna"])
    refuse_other_release(Bundle({"config.toml": text}))
    with pytest.raises(UsageError, match="same version on both machines") as refused:
        refuse_other_release(Bundle({"config.toml": f"{text}\n[teleport]\nto = 1\n"}))
    assert "teleport" in refused.value.problem


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, TryLaterError), (errno.EROFS, MisconfiguredError)]
)
def test_a_full_disk_passes_and_what_else_is_wrong_does_not(
    code: int, kind: type[PostamtError]
) -> None:
    said = unwritable(Path("/etc/x"), OSError(code, os.strerror(code)), "Do this.")
    assert type(said) is kind
    assert ("df -h" in said.hint) is (kind is TryLaterError)


def test_the_example_and_an_empty_file_of_keys_make_room(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(shipped(EXAMPLE))
    (tmp_path / "credentials").write_text("")
    place(Bundle(FILES), tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == FILES


def test_another_configuration_stays_or_is_kept_aside(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("mine")
    with pytest.raises(UsageError, match="not the bundle's configuration"):
        place(Bundle(FILES), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["config.toml"]
    place(Bundle(FILES), tmp_path, force=True)
    assert (tmp_path / "config.toml.before-1").read_text() == "mine"
    assert (tmp_path / "config.toml").read_text() == "x = 1\n"


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("theirs")
    (tmp_path / "credentials").symlink_to(target)
    place(Bundle(FILES), tmp_path)
    assert target.read_text() == "theirs"
    assert not (tmp_path / "credentials").is_symlink()


def test_a_certificate_is_made_where_there_is_none(tmp_path: Path) -> None:
    pair = Pair(tmp_path / "imap/fullchain.pem", tmp_path / "imap/privkey.pem")
    assert settle(pair, "mail.example.org", "root", tmp_path) is Origin.SELF_SIGNED
    pair.check()
    assert pair.is_for("mail.example.org")
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    before = pair.chain.read_bytes()
    assert settle(pair, "mail.example.org", "root", tmp_path) is Origin.THERE
    assert pair.chain.read_bytes() == before


def test_a_renewed_one_comes_by_the_hook_and_that_of_another_host_does_not(tmp_path: Path) -> None:
    pair = Pair(tmp_path / "imap/fullchain.pem", tmp_path / "imap/privkey.pem")
    settle(pair, "mail.example.org", "root", tmp_path)
    put_hooks(pair, "mail.example.org", tmp_path)
    hook = tmp_path / "letsencrypt/renewal-hooks/deploy/postamt-sync-imap"
    lineage = tmp_path / "live"
    lineage.mkdir()
    (lineage / "fullchain.pem").write_text("new chain")
    (lineage / "privkey.pem").write_text("new key")
    (tmp_path / "bin").mkdir()
    told = tmp_path / "bin/systemctl"
    told.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/told\n')
    told.chmod(0o755)

    def renewed(*domains: str) -> None:
        environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "RENEWED_LINEAGE": str(lineage)}
        environment["RENEWED_DOMAINS"] = " ".join(domains)
        subprocess.run([hook], env=environment, check=True)

    renewed("www.example.org", "xmail.example.org")
    assert pair.chain.read_text() != "new chain"
    renewed("www.example.org", "mail.example.org")
    assert (pair.chain.read_text(), pair.key.read_text()) == ("new chain", "new key")
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    assert (tmp_path / "told").read_text() == "reload-or-restart dovecot\n"


def test_one_that_was_named_and_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="There is no"):
        refuse_missing(Pair(tmp_path / "a", tmp_path / "b"))


def test_the_first_mail_is_one_that_ses_might_have_stored() -> None:
    message_id = "abc123" * 6 + "abcd"
    body = first_mail("ann@example.org", message_id, "eu-west-1", 1_790_000_000.0)
    found = ses_headers(body, f"incoming/{message_id}")
    assert found is not None
    assert found.recipient == "ann@example.org"
    assert b"\n" not in body.replace(b"\r\n", b"")
