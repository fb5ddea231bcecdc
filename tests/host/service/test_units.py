"""The drop-ins, from configurations as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.config import Settings, WebhookSettings, load
from postamt_sync.host.service.program import Program, shipped
from postamt_sync.host.service.units import (
    Machine,
    quoted,
    service_dropin,
    socket_addresses,
    socket_dropin,
    written,
)
from tests.support.household import configuration, configure

PIPX = Program(Path("/opt/pipx/venvs/postamt-sync/bin/postamt-sync"), (Path("/opt/pipx/venvs/p"),))
WEBHOOK = """
[webhook]
listen = {listen}
public_url = "https://home.example.com:8443/sns"
topic_arn = "arn:aws:sns:eu-west-1:123456789012:postamt"
"""


def settings(
    tmp_path: Path,
    maildir: str = "/var/mail/anna",
    state: str = "/var/lib/postamt-sync",
    listen: str = "",
) -> Settings:
    webhook = WEBHOOK.format(listen=listen) if listen else ""
    text = configuration(
        tmp_path, webhook, people=("anna",), maildirs={"anna": maildir}, state=state
    )
    return load(configure(tmp_path, text), {})


def machine(program: Program = PIPX, systemd: int = 257) -> Machine:
    return Machine(program, "mailer", "mail", systemd)


def lines(tmp_path: Path, program: Program = PIPX, systemd: int = 257, **options: str) -> list[str]:
    return service_dropin(settings(tmp_path, **options), machine(program, systemd)).splitlines()


def test_it_says_who_runs_what_and_where_it_may_write(tmp_path: Path) -> None:
    said = lines(tmp_path)
    assert "User=mailer" in said
    assert "Group=mail" in said
    at = said.index("ExecStart=")
    assert said[at + 1] == f"ExecStart={PIPX.command} run --config {tmp_path}/config.toml"
    assert "ExecPaths=-/opt/pipx/venvs/p" in said
    assert [line for line in said if "ReadWritePaths" in line] == ["ReadWritePaths=-/var/mail/anna"]
    assert not [line for line in said if line.startswith(("ProtectHome", "Bind", "Sockets"))]


def test_only_the_usual_place_of_the_configuration_goes_without_saying(tmp_path: Path) -> None:
    usual = tmp_path / "config.toml"
    written = service_dropin(settings(tmp_path), machine(), usual)
    assert f"ExecStart={PIPX.command} run\n" in written


def test_a_state_directory_elsewhere_must_be_there(tmp_path: Path) -> None:
    said = lines(tmp_path, state="/srv/state")
    assert "ReadWritePaths=/srv/state" in said
    assert "RequiresMountsFor=/srv/state" in said


def test_homes_are_shown_only_where_something_of_ours_lies_there(tmp_path: Path) -> None:
    program = Program(Path("/home/pi/.venv/bin/postamt-sync"), (Path("/home/pi/.venv"),))
    said = lines(tmp_path, program, maildir="/home/vmail/anna")
    assert "ProtectHome=tmpfs" in said
    assert "BindReadOnlyPaths=-/home/pi/.venv" in said
    assert "BindPaths=-/home/vmail/anna" in said
    assert "ReadWritePaths=-/home/vmail/anna" not in said


@pytest.mark.parametrize(("version", "slower"), [(252, False), (254, True), (257, True)])
def test_what_an_old_systemd_does_not_know_is_not_said(
    tmp_path: Path, version: int, slower: bool
) -> None:
    assert ("RestartSteps=6" in lines(tmp_path, systemd=version)) is slower


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/var/mail/anna", "-/var/mail/anna"),
        ("/mnt/My Mail", '"-/mnt/My Mail"'),
        ("/mnt/100%", '"-/mnt/100%%"'),
        ('/mnt/a"b\\c', '"-/mnt/a\\"b\\\\c"'),
    ],
)
def test_a_path_is_one_word(path: str, word: str) -> None:
    assert quoted(Path(path), "-") == word


@pytest.mark.parametrize(
    ("listen", "addresses"),
    [
        ('["0.0.0.0:8443", "[::]:8443"]', ["0.0.0.0:8443", "[::]:8443"]),
        ('"127.0.0.1:9000"', ["127.0.0.1:9000"]),
        ('"localhost:9000"', []),
        ('["127.0.0.1:9000", "127.0.0.2:0"]', []),
        ("", []),
    ],
)
def test_systemd_holds_the_port_where_it_can(
    tmp_path: Path, listen: str, addresses: list[str]
) -> None:
    configured = settings(tmp_path, listen=listen)
    assert [str(a) for a in socket_addresses(configured)] == addresses
    assert ("Sockets=" in service_dropin(configured, machine())) is bool(addresses)


def test_configured_addresses_replace_the_shipped_ones(tmp_path: Path) -> None:
    addresses = socket_addresses(settings(tmp_path, listen='"127.0.0.1:9000"'))
    assert socket_dropin(addresses) == "[Socket]\nListenStream=\nListenStream=127.0.0.1:9000\n"


def test_the_shipped_socket_has_the_default_addresses() -> None:
    listen = WebhookSettings.model_fields["listen"].default
    said = [line for line in shipped("postamt-sync.socket").splitlines() if "ListenStream" in line]
    assert said == [f"ListenStream={address}" for address in listen]


def test_all_that_is_written_to_is_named(tmp_path: Path) -> None:
    configured = settings(tmp_path, state='/var/lib/postamt-sync"\nbackup_dir = "/mnt/second')
    assert written(configured) == [Path("/var/mail/anna"), Path("/mnt/second")]
    said = service_dropin(configured, machine()).splitlines()
    assert "ReadWritePaths=-/mnt/second" in said


def test_the_service_has_a_limit_of_memory() -> None:
    assert "\nMemoryMax=512M\n" in shipped("postamt-sync.service")
