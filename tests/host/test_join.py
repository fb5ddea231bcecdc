"""From an empty account to a mail read over IMAP: `setup`, then `join` on a box that is fresh."""

from __future__ import annotations

import imaplib
import re
import shlex
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.typist import Typist, environment_of
from tests.doubles.moto import Moto, moto
from tests.host.box import LOCAL, UNIT, readme_install
from tests.host.container import Container, booted
from tests.host.debian import INSIDE, PYTHONS, needs_debian, put_checkout, unpack
from tests.host.kept import alone

pytestmark = [pytest.mark.timeout(1500), *needs_debian, pytest.mark.slow]

BUNDLE = "postamt-sync.bundle"
PATIENCE = 900
"""Seconds for apt on a busy machine."""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Moto]:
    with moto() as running:
        yield running


@pytest.fixture(scope="module", params=PYTHONS)
def box(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cloud: Moto
) -> Iterator[Container]:
    """Return a box with the program on it, and nothing else."""
    root = tmp_path_factory.mktemp("box") / request.param
    unpack(request.param, root)
    put_checkout(root / "srv/postamt-sync")
    # Boxes are on this machine's network, and Dovecot takes port 993 of it.
    with alone("imaps"), booted(root) as container:
        container.do("apt-get", "-qq", "update")
        for command in readme_install():
            container.shell(f"cd /srv/postamt-sync && {command}")
        local = root / f"etc/systemd/system/{UNIT}.d/50-local.conf"
        local.parent.mkdir(parents=True)
        local.write_text(LOCAL.format(s3=cloud.url, sns=cloud.url, more=""))
        yield container


def set_up(cloud: Moto, home: Path) -> str:
    """Run setup with all answers given, and return the passphrase that it showed."""
    cloud.reset()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "postamt_sync", "setup", "--yes", "--no-wait"),
            *("--domain", "example.org", "--person", "Ann", "--person", "ben"),
            *("--resolver", "127.0.0.1:9"),
        ],
        cwd=home,
        env=environment_of(cloud, home),
        capture_output=True,
        text=True,
        check=True,
    )
    shown = re.search(r"^\s+((?:[a-z2-9]{5}-){5}[a-z2-9]{4})$", done.stdout, re.MULTILINE)
    assert shown
    return shown[1]


def at_terminal(box: Container, command: str) -> Typist:
    enter = ["nsenter", f"--target={box.init}", "--all", "--root", "--wd"]
    return Typist(shlex.join([*enter, *command.split()]), Path("/"), INSIDE | {"TERM": "xterm"})


def read_over_imap(login: str, password: str) -> list[bytes]:
    """Log in as a mail client does, and return the subjects of what is there."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=context) as client:
        client.login(login, password)
        client.select("INBOX")
        _, numbers = client.search(None, "ALL")
        return [
            client.fetch(number.decode(), "(BODY[HEADER.FIELDS (SUBJECT)])")[1][0][1].strip()  # type: ignore[index, union-attr]
            for number in numbers[0].split()
        ]


def test_a_fresh_box_joins_and_its_mail_is_read(
    box: Container, cloud: Moto, tmp_path: Path
) -> None:
    passphrase = set_up(cloud, tmp_path)
    target = box.root / "root" / BUNDLE
    target.write_bytes((tmp_path / BUNDLE).read_bytes())

    cut = at_terminal(box, f"postamt-sync join /root/{BUNDLE}.cut")
    assert "There is no" in (cut.ends() and cut.said)

    killed = at_terminal(box, f"postamt-sync join /root/{BUNDLE}")
    killed.answers("Passphrase:", "abcde-abcde")
    assert "That is not the passphrase" in killed.sees("Passphrase:")
    killed.types(passphrase)
    killed.sees("config.toml written", PATIENCE)
    killed.kills()
    assert target.exists()

    joined = at_terminal(box, f"postamt-sync join /root/{BUNDLE}")
    joined.answers("Passphrase:", passphrase.upper())
    joined.sees("All well", PATIENCE)
    assert joined.ends() == 0, joined.said
    for station in ("the daemon knows of it", "it is in", "ann reads it over IMAP"):
        assert f"ok   {station}" in joined.said
    assert not target.exists()
    assert max(map(len, joined.written)) <= joined.columns

    shown = "\n".join(joined.written)
    logins = dict(re.findall(r"login +(\S+)\s+password +(\S+)", shown))
    assert set(logins) == {"ann@example.org", "ben@example.org"}
    subjects = read_over_imap("ann@example.org", logins["ann@example.org"])
    assert subjects == [b"Subject: Your first mail"]
    assert box.said("stat", "-c", "%U %a", "/etc/postamt-sync/credentials") == "root 600"

    again = at_terminal(box, f"postamt-sync join /root/{BUNDLE}")
    assert again.ends() == 64
    assert "If it was used already" in again.said
    # On the same box, which takes minutes to make.
    setup_on_the_box_itself_needs_no_file(box, cloud)
    a_second_bundle_finds_all_done(box, cloud, tmp_path)


def setup_on_the_box_itself_needs_no_file(box: Container, cloud: Moto) -> None:
    """What a bundle brought before is there: the same household, from an account that is empty."""
    cloud.reset()
    environment = " ".join(f"{name}={value}" for name, value in cloud.environment.items())
    done = box.shell(
        f"cd /root && env {environment} LANG=C.UTF-8 postamt-sync setup --here --yes --no-wait "
        "--domain example.org --person Ann --person ben --resolver 127.0.0.1:9"
    )
    for said in ("the daemon knows of it", "it is in", "has a password already", "All well"):
        assert said in done.stdout
    assert not list((box.root / "root").glob("*.bundle"))
    assert "BOX:" not in done.stdout
    assert box.said("stat", "-c", "%U %a", "/etc/postamt-sync/credentials") == "root 600"


def a_second_bundle_finds_all_done(box: Container, cloud: Moto, tmp_path: Path) -> None:
    """The same household once more: nothing is overwritten, no password is made again."""
    before = box.said("cat", "/etc/postamt-sync/config.toml")
    passwords = box.said("cat", "/etc/dovecot/postamt-sync.passwords")
    home = tmp_path / "again"
    home.mkdir()
    passphrase = set_up(cloud, home)
    target = box.root / "root" / BUNDLE
    target.write_bytes((home / BUNDLE).read_bytes())
    done = box.shell(f"echo {passphrase} | postamt-sync join /root/{BUNDLE}")
    assert "has a password already" in done.stdout
    assert box.said("cat", "/etc/postamt-sync/config.toml") == before
    assert box.said("cat", "/etc/dovecot/postamt-sync.passwords") == passwords
    assert not (box.root / "etc/dovecot/dovecot.conf.before-2").exists()
