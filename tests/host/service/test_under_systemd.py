"""The service under a real systemd: installed by its own command on fresh Debian systems."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.sns import certificate_pem, key_pem, private_key
from tests.host.box import CONFIG, CREDENTIALS, HOST, LINEAGE, MAIL, SOCKET, UNIT, Box, installed
from tests.host.container import wait_until
from tests.host.debian import PYTHONS, needs_debian
from tests.host.service import syncing

pytestmark = needs_debian

SYSTEM = Path("/etc/systemd/system")
TLS = Path("/etc/postamt-sync/tls")


@pytest.fixture(scope="module", params=PYTHONS)
def fresh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Box]:
    """Return a box on which the program is installed, and the service is, too."""
    with installed(request.param, tmp_path_factory.mktemp("box") / request.param) as box:
        first = box.service("install", check=False)
        assert "the example is there now" in first
        box.configure()
        box.issue(1)
        box.localise()
        said = box.service("install")
        # Into the file that is there now, root's alone; see CREDENTIALS.
        box.write(Path("/etc/postamt-sync/credentials"), CREDENTIALS.format(box.s3))
        box.container.do("systemctl", "restart", UNIT)
        assert "All well" in said
        yield box


@pytest.fixture
def box(fresh: Box) -> Box:
    fresh.until_ready()
    return fresh


def test_it_is_ready_and_says_how_it_does(box: Box) -> None:
    wait_until(lambda: "waiting" in box.status, lambda: box.status)
    assert box.container.said("systemctl", "is-enabled", UNIT, SOCKET) == "enabled\nenabled"


def test_systemd_rates_the_unit_as_exposing_little(box: Box) -> None:
    strictly = ["--man=no", "--recursive-errors=no"]
    box.container.do("systemd-analyze", "verify", *strictly, UNIT, SOCKET)
    box.container.do("systemd-analyze", "security", "--threshold=15", UNIT)


def test_mail_comes_in_as_the_mail_users(box: Box) -> None:
    one = box.new_letter()
    assert box.announce(one) == 200
    path = box.until_delivered(one)
    owner = box.container.said("stat", "-c", "%U %a", f"/{path.relative_to(box.root)}")
    assert owner == "postamt-sync 600"


ONCE = """
[Service]
Type=oneshot
ExecStart=
ExecStart=/opt/pipx/venvs/postamt-sync/bin/python /usr/share/probe.py {maildir}
Restart=no
WatchdogSec=0
"""


def test_many_mails_are_synced_with_their_file_system(box: Box) -> None:
    """Under the very unit: its filter lets syncfs pass, and it sees what the choice goes by."""
    box.write(Path("/usr/share/probe.py"), Path(syncing.__file__).read_text())
    unit = box.container.said("systemctl", "cat", UNIT)
    box.write(SYSTEM / "probe.service", unit + ONCE.format(maildir=MAIL / "anna/Maildir"))
    box.container.do("systemctl", "daemon-reload")
    box.container.do("systemctl", "start", "probe.service", check=False)
    said = box.container.journal("probe.service").splitlines()
    box.at(SYSTEM / "probe.service").unlink()
    box.container.do("systemctl", "daemon-reload")
    for wanted in ("kind: True", "kernel: True", "others: True", "synced: True"):
        assert wanted in said, said


def test_keys_are_roots_on_the_disk(box: Box) -> None:
    for path in (Path("/etc/postamt-sync/credentials"), LINEAGE / "privkey.pem"):
        user = ["setpriv", "--reuid=postamt-sync", "--regid=postamt-sync", "--clear-groups"]
        assert box.container.do(*user, "cat", str(path), check=False).returncode
    key = box.at(TLS / "privkey.pem").stat()
    assert (key.st_uid, stat.S_IMODE(key.st_mode)) == (0, 0o640)


def test_killed_it_comes_back_and_fetches_what_came_meanwhile(box: Box) -> None:
    before = box.process
    one = box.new_letter()
    box.container.do("kill", "-KILL", str(before))
    box.until_ready(not_process=before)
    box.until_delivered(one)


def test_a_connection_made_during_a_crash_is_served(box: Box) -> None:
    """The port belongs to systemd, so nobody is refused."""
    before = box.process
    one = box.new_letter()
    box.container.do("kill", "-KILL", str(before))
    assert box.announce(one) == 200
    assert box.process != before
    box.until_delivered(one)


def test_a_first_connection_starts_it(box: Box) -> None:
    box.container.do("systemctl", "stop", UNIT)
    assert box.container.property(UNIT, "Result") == "success"
    assert box.process == 0
    one = box.new_letter()
    assert box.announce(one) == 200
    box.until_delivered(one)


BLOCKER = """\
import signal, time
signal.signal(signal.SIGUSR2, lambda *_: time.sleep(3600))
"""


def test_a_blocked_loop_is_ended_and_started_again(box: Box) -> None:
    """A signal handler that sleeps in the main thread blocks the event loop."""
    box.write(Path("/opt/blocker/sitecustomize.py"), BLOCKER)
    box.localise("Environment=PYTHONPATH=/opt/blocker\nWatchdogSec=4s\nExecPaths=/opt/blocker")
    box.container.shell(f"systemctl daemon-reload; systemctl restart {UNIT}")
    before = box.process
    box.container.do("kill", "-USR2", str(before))
    box.until_ready(not_process=before)
    assert "Watchdog timeout" in box.container.journal()
    box.localise()
    box.container.shell(f"systemctl daemon-reload; systemctl restart {UNIT}")
    one = box.new_letter()
    assert box.announce(one) == 200
    box.until_delivered(one)


def test_a_reload_takes_a_new_mailbox_only_after_the_service_was_opened_for_it(box: Box) -> None:
    bruno = MAIL / "bruno/Maildir"
    before = box.process
    box.configure(("bruno", bruno))
    box.container.do("systemctl", "reload", UNIT)

    def reasons() -> str:
        refused = box.events("not reloaded, going on with the old")
        return " ".join(reason for fields in refused for reason in fields["reasons"])

    wait_until(reasons, box.container.journal)
    assert f"mailboxes[bruno].maildir: {bruno} is read-only" in reasons()
    assert "sudo postamt-sync service install" in reasons()
    assert box.process == before
    assert not box.at(bruno).exists()

    said = box.service("install")
    assert f"make    {bruno} for postamt-sync" in said
    assert box.process != before
    one = box.new_letter("bruno")
    assert box.announce(one, "bruno") == 200
    box.until_delivered(one, bruno)
    box.configure()
    box.service("install")


def test_a_reload_within_what_is_open_is_taken(box: Box) -> None:
    count = len(box.events("reloaded"))
    before = box.process
    box.at(CONFIG).write_text(box.at(CONFIG).read_text().replace("[poll]", "") + "\n")
    box.container.do("systemctl", "reload", UNIT)
    wait_until(lambda: len(box.events("reloaded")) > count, box.container.journal)
    assert box.process == before


@pytest.mark.parametrize("hook", ["certbot", "general"])
def test_a_renewed_certificate_is_shown_without_a_restart(box: Box, hook: str) -> None:
    before = box.process
    renewed = box.issue(2 if hook == "certbot" else 3)
    assert box.shown_certificate() != renewed
    if hook == "certbot":
        box.container.do(
            "env",
            f"RENEWED_LINEAGE={LINEAGE}",
            f"RENEWED_DOMAINS={HOST}",
            "/etc/letsencrypt/renewal-hooks/deploy/postamt-sync",
        )
    else:
        files = [str(LINEAGE / "fullchain.pem"), str(LINEAGE / "privkey.pem")]
        box.container.do("/etc/postamt-sync/certificate-renewed", *files)
    wait_until(lambda: box.shown_certificate() == renewed, box.container.journal)
    assert box.process == before


def test_the_certificate_of_another_host_is_left_alone(box: Box) -> None:
    other = Path("/etc/letsencrypt/live/www.example.org")
    key = private_key(4)
    box.write(other / "fullchain.pem", certificate_pem(key, name="www.example.org"))
    box.write(other / "privkey.pem", key_pem(key))
    before = box.at(TLS / "fullchain.pem").read_bytes()
    hook = "/etc/letsencrypt/renewal-hooks/deploy/postamt-sync"
    assert "left alone" in box.container.said("env", f"RENEWED_LINEAGE={other}", hook)
    assert box.at(TLS / "fullchain.pem").read_bytes() == before


def test_a_second_install_changes_nothing(box: Box) -> None:
    before = box.process
    said = box.service("install")
    assert "write" not in said
    assert "systemctl" not in said.replace("systemctl status", "")
    assert box.process == before


def test_a_file_that_someone_edited_is_left_alone(box: Box) -> None:
    unit = SYSTEM / UNIT
    shipped = box.at(unit).read_text()
    box.at(unit).write_text(shipped.replace("RestartSec=2s", "RestartSec=3s"))
    said = box.service("install")
    assert f"leave   {unit}: was edited" in said
    assert "RestartSec=3s" in box.at(unit).read_text()
    box.at(unit).write_text(shipped)


def test_a_maildir_on_a_disk_that_is_mounted_late_gets_its_mail(box: Box) -> None:
    disk, carla = Path("/mnt/disk"), Path("/mnt/disk/carla/Maildir")
    box.container.shell(f"mkdir -p {disk}; mount -t tmpfs tmpfs {disk}")
    box.configure(("carla", carla))
    box.service("install")
    one = box.new_letter("carla")
    assert box.announce(one, "carla") == 200

    def files() -> str:
        return box.container.do("find", str(carla), "-type", "f").stdout

    wait_until(lambda: "/new/" in files(), box.container.journal)
    keep = "/srv/carla.tar"
    box.container.shell(
        f"systemctl stop {SOCKET} {UNIT}; tar -C {disk} -cf {keep} .; umount {disk};"
        f"systemctl start {SOCKET} {UNIT}"
    )
    box.until_ready()
    assert f"leave   {carla}: was there once" in box.service("install")
    two, annas = box.new_letter("carla"), box.new_letter()
    assert box.announce(two, "carla") == box.announce(annas) == 200
    box.until_delivered(annas)
    assert list(box.at(disk).iterdir()) == []
    before = box.process
    box.container.shell(
        f"mount -t tmpfs tmpfs {disk}; tar -C {disk} -xf {keep}; systemctl reload {UNIT}"
    )
    wait_until(lambda: files().count("/new/") == 2, box.container.journal)
    assert box.process == before
    box.configure()
    box.service("install")


def test_a_virtual_environment_and_mail_in_closed_homes(box: Box) -> None:
    """The service sees of the homes only what is its own, whoever else may not look there."""
    venv, dora = Path("/home/pi/venv"), Path("/home/mail/dora/Maildir")
    box.container.shell(
        f"mkdir -p {venv.parent}; cp -a /opt/pipx/venvs/postamt-sync {venv};"
        f"sed -i '1s|.*|#!{venv}/bin/python|' {venv}/bin/postamt-sync; chmod 700 {venv.parent}"
    )
    box.configure(("dora", dora))
    said = box.container.said(f"{venv}/bin/postamt-sync", "service", "install")
    assert f"make    {dora} for postamt-sync" in said
    command = box.container.said("cat", f"/proc/{box.process}/cmdline")
    assert command.startswith(f"{venv}/bin/python")
    one = box.new_letter("dora")
    assert box.announce(one, "dora") == 200
    box.until_delivered(one, dora)
    box.configure()
    box.service("install")


def test_stopped_it_ends_cleanly_and_nothing_starts_it_again(box: Box) -> None:
    box.container.do("systemctl", "stop", SOCKET, UNIT)
    assert box.container.property(UNIT, "Result") == "success"
    assert box.container.property(UNIT, "ExecMainStatus") == "0"
    assert box.events("stopped")
    with pytest.raises(OSError, match="refused"):
        box.announce(box.new_letter())
    box.container.do("systemctl", "start", SOCKET, UNIT)
    assert box.process


def test_uninstalled_mail_and_settings_stay(box: Box) -> None:
    one = box.new_letter()
    assert box.announce(one) == 200
    box.until_delivered(one)
    box.service("uninstall")
    left = {str(p.relative_to(box.root)) for p in box.root.glob("etc/**/*postamt-sync*")}
    assert left == {"etc/postamt-sync", f"etc/systemd/system/{UNIT}.d"}, "50-local.conf is there"
    assert box.at(CONFIG).exists()
    assert box.copies(one)
    assert box.at(Path("/var/lib/postamt-sync/ledger.sqlite3")).exists()
    assert box.container.property(UNIT, "LoadState") == "not-found"
    box.service("install")
    assert box.copies(one)


def test_a_dry_run_changes_nothing(box: Box) -> None:
    box.service("uninstall")
    said = box.service("install", "--dry-run")
    assert f"write   {SYSTEM / UNIT}" in said
    assert not box.at(SYSTEM / UNIT).exists()
    box.service("install")
