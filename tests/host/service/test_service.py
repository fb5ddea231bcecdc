"""The steps of installing and removing, planned on a pretended /etc; they are carried out for real
in `test_service_under_systemd`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from postamt_sync.errors import MisconfiguredError
from postamt_sync.host.service.program import Program
from postamt_sync.host.service.service import SystemdService, removal, runs_as_installed
from postamt_sync.host.service.steps import InstallStep, Run, Write
from postamt_sync.host.service.units import Machine
from postamt_sync.ledger import Ledger
from tests.doubles.sns import certificate_pem, key_pem, private_key
from tests.host.service.test_units import PIPX, settings

LISTEN = '["0.0.0.0:8443"]\ntls_certificate = "{0}/chain.pem"\ntls_key = "{0}/key.pem"'


def service(tmp_path: Path, program: Program = PIPX, **options: str) -> SystemdService:
    machine = Machine(program, "mailer", "mail", 257)
    options.setdefault("state", str(tmp_path / "state"))
    options.setdefault("maildir", str(tmp_path / "mail/anna"))
    return SystemdService(settings(tmp_path, **options), machine, tmp_path / "etc")


def planned(service: SystemdService, *, running: bool = False, start: bool = True) -> list[str]:
    return [str(step) for step in service.install(start=start, running=running)]


def write(steps: list[InstallStep]) -> None:
    """Carry out what needs no root and no systemd."""
    for step in steps:
        if isinstance(step, Write):
            step.do()


def test_files_come_first_then_users_then_directories_then_the_start(tmp_path: Path) -> None:
    said = planned(service(tmp_path))
    words = [line.split()[0] for line in said]
    assert words == ["write"] * 5 + ["run"] * 2 + ["make"] * 2 + ["run"] * 4
    assert said[-1] == "run     systemctl start postamt-sync.service"


def test_without_a_webhook_there_is_no_socket(tmp_path: Path) -> None:
    assert not [line for line in planned(service(tmp_path)) if "socket" in line]
    assert [line for line in planned(service(tmp_path, listen='"[::]:1"')) if "socket" in line]


def test_a_webhook_that_was_taken_away_takes_its_socket_along(tmp_path: Path) -> None:
    write(service(tmp_path, listen='"[::]:1"').install(start=True, running=False))
    said = planned(service(tmp_path), running=True)
    gone = [line for line in said if "socket" in line]
    assert [line.split()[0] for line in gone] == ["run", "remove", "remove"]
    assert said.index(gone[0]) < said.index("run     systemctl daemon-reload")


def test_not_started_it_is_enabled_only(tmp_path: Path) -> None:
    said = planned(service(tmp_path), start=False)
    assert said[-1] == "run     systemctl enable postamt-sync.service"


def test_where_all_is_well_nothing_is_restarted(tmp_path: Path) -> None:
    write(service(tmp_path).install(start=True, running=False))
    again = service(tmp_path).install(start=True, running=True)
    commands = [step.command[0] for step in again if isinstance(step, Run)]
    assert commands == ["systemd-sysusers", "systemd-tmpfiles"]
    stopped = planned(service(tmp_path), running=False)
    assert stopped[-1] == "run     systemctl start postamt-sync.service"


def test_the_users_name_is_in_every_file(tmp_path: Path) -> None:
    write(service(tmp_path, listen=LISTEN.format(tmp_path)).install(start=True, running=False))
    etc = tmp_path / "etc"
    assert "\nu mailer - " in (etc / "sysusers.d/postamt-sync.conf").read_text()
    assert "tls 0750 root mail\n" in (etc / "tmpfiles.d/postamt-sync.conf").read_text()
    hook = (etc / "postamt-sync/certificate-renewed").read_text()
    assert f"exec {PIPX.command} service certificate --config {tmp_path}/config.toml" in hook
    assert (
        "User=mailer"
        in (etc / "systemd/system/postamt-sync.service.d/10-this-machine.conf").read_text()
    )


def test_certbots_hook_comes_where_certbot_is(tmp_path: Path) -> None:
    options = {"listen": LISTEN.format(tmp_path)}
    assert not [line for line in planned(service(tmp_path, **options)) if "letsencrypt" in line]
    (tmp_path / "etc/letsencrypt").mkdir(parents=True)
    (hook,) = [line for line in planned(service(tmp_path, **options)) if "letsencrypt" in line]
    assert hook.endswith("renewal-hooks/deploy/postamt-sync")


def test_a_certificate_that_certbot_has_is_copied_at_once(tmp_path: Path) -> None:
    live = tmp_path / "etc/letsencrypt/live/home.example.com"
    live.mkdir(parents=True)
    (live / "fullchain.pem").write_bytes(certificate_pem(private_key()))
    (live / "privkey.pem").write_bytes(key_pem(private_key()))
    said = planned(service(tmp_path, listen=LISTEN.format(tmp_path)))
    assert f"copy    {live}/fullchain.pem and its key to {tmp_path}" in said
    (tmp_path / "chain.pem").touch()
    said = planned(service(tmp_path, listen=LISTEN.format(tmp_path)))
    assert not [line for line in said if line.startswith("copy")]


def test_a_maildir_that_was_there_once_is_not_made(tmp_path: Path) -> None:
    """Its disk is not mounted; a directory in its place would hide it."""
    maildir = tmp_path / "mail/anna"
    ledger = Ledger.open(tmp_path / "state")
    ledger.work.roots.remember(maildir, "anna")
    ledger.close()
    said = planned(service(tmp_path))
    assert [line for line in said if line.startswith(f"leave   {maildir}: was there once")]
    assert not [line for line in said if line.startswith("make")]


def test_a_second_disk_that_is_missing_is_named_and_not_made(tmp_path: Path) -> None:
    backup = tmp_path / "second"
    state = f'{tmp_path}/state"\nbackup_dir = "{backup}'
    (line,) = [said for said in planned(service(tmp_path, state=state)) if str(backup) in said]
    assert line.startswith(f"leave   {backup}: is not there; mount its disk")
    backup.mkdir()
    assert str(backup) not in "".join(planned(service(tmp_path, state=state)))


def test_removing_takes_what_is_ours_and_leaves_what_was_edited(tmp_path: Path) -> None:
    write(service(tmp_path).install(start=True, running=False))
    unit = tmp_path / "etc/systemd/system/postamt-sync.service"
    unit.write_text(unit.read_text() + "# mine\n")
    said = [str(step) for step in removal(service(tmp_path).etc)]
    assert said[0] == "run     systemctl disable --now postamt-sync.service"
    assert f"leave   {unit}: was edited; remove it by hand" in said
    assert len([line for line in said if line.startswith("remove")]) == 4
    assert said[-1] == "run     systemctl daemon-reload"


def test_where_nothing_is_installed_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert removal(service(tmp_path).etc) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"state": "/home/pi/state"}, "cannot see /home/pi/state"),
        ({"maildir": "/home/a:b/Maildir"}, "colon"),
        ({"listen": LISTEN.format("/root/tls")}, "cannot read /root/tls/chain.pem"),
    ],
)
def test_what_a_service_cannot_reach_is_refused(
    tmp_path: Path, options: dict[str, str], said: str
) -> None:
    with pytest.raises(MisconfiguredError, match=said):
        service(tmp_path, **options).install(start=True, running=False)


def test_certbots_own_files_are_refused_with_the_remedy(tmp_path: Path) -> None:
    live = tmp_path / "etc/letsencrypt/live/home.example.com"
    with pytest.raises(MisconfiguredError, match="renewals are copied there") as refused:
        service(tmp_path, listen=LISTEN.format(live)).install(start=True, running=False)
    assert "cannot read" in refused.value.problem


def test_the_man_page_comes_and_goes_with_the_service(tmp_path: Path) -> None:
    manual = tmp_path / "usr/local/share/man/man1/postamt-sync.1"
    with_one = dataclasses.replace(service(tmp_path), manual='.TH POSTAMT-SYNC 1 "" ""\n')
    write(with_one.install(start=True, running=False))
    assert manual.read_text().startswith('.TH POSTAMT-SYNC 1 "" ""\n')
    assert f"leave   {manual}: up to date" in planned(with_one, running=True)
    assert [line for line in map(str, removal(tmp_path / "etc")) if str(manual) in line]
    assert not [line for line in planned(service(tmp_path)) if "man1" in line], "Debian has it"


@pytest.mark.parametrize(
    ("active", "began", "runs"),
    [
        ("inactive", "", False),
        ("failed", "0", False),
        ("active", "", True),  # an older systemd, which does not say
        ("active", "1060000000", True),  # a minute after it was installed
        ("active", "940000000", False),  # a minute before
    ],
)
def test_a_daemon_of_before_the_upgrade_is_not_the_one_that_is_installed(
    tmp_path: Path, active: str, began: str, runs: bool
) -> None:
    def ask(*words: str) -> str:
        return active if words[0] == "is-active" else began

    (tmp_path / "__init__.py").write_text("")
    assert runs_as_installed(ask, tmp_path, lambda: 1000.0) is runs


@pytest.mark.parametrize(
    ("words", "unit"),
    [(["/bin/false", "dovecot.service"], "dovecot"), (["/bin/false", "x"], "postamt-sync")],
)
def test_what_fails_names_the_journal_that_says_why(words: list[str], unit: str) -> None:
    with pytest.raises(MisconfiguredError, match="exit code 1") as refused:
        Run(words).do()
    assert f"journalctl --unit {unit}.service" in refused.value.hint
