"""A household served by a real Dovecot from what `postamt-sync dovecot --write` wrote, unchanged.

What makes it a private instance (ports, directories, and where the tests are not root's the user)
stands in `local.conf`, where a person's own settings would.
"""

from __future__ import annotations

import contextlib
import grp
import io
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from postamt_sync.cli.main import run
from postamt_sync.config import Settings, load
from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.filename import final_name, make_stem
from postamt_sync.delivery.maildir import Maildir
from tests.doubles.sns import certificate_pem, key_pem, private_key
from tests.host.machines import Machine, environment
from tests.support.household import configuration
from tests.support.ports import reserved_port

PASSWORDS = {"anna": "open sesame, Anna", "bruno": "b\u00fccher & \u00c4pfel"}
PATIENCE = 20.0

HOME = """\
[home]
imap_host = "mail.example.com"
mail_user = "{user}"
tls_certificate = "{certificate}"
tls_key = "{key}"
{more}
"""
ADDRESSES = {
    "anna": ["Anna@example.com", "anna.a@example.org", "example.com"],
    "bruno": [
        "bruno@example.com",
        "o'neil@example.com",
        "B+r=u/n~o{1}@example.com",
        "%u|`?!#$&*^_@example.com",
        "b@Müller.example",
    ],
}

LOCAL = """\
listen = 127.0.0.1
base_dir = {base}/run
state_dir = {base}/run
log_path = {base}/log
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imaps {{
    port = {imaps}
  }}
}}
"""

ROOTLESS = """\
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
}}
"""


@dataclass
class Served:
    """The household; `start` Dovecot once its files are written."""

    base: Path
    machine: Machine
    imaps: int = field(default_factory=reserved_port)
    process: subprocess.Popen[bytes] | None = None
    delivered: int = 0

    @property
    def directory(self) -> Path:
        return self.base / "dovecot"

    @property
    def config(self) -> Path:
        return self.base / "config.toml"

    @property
    def settings(self) -> Settings:
        return load(self.config, {})

    @property
    def log(self) -> str:
        return (self.base / "log").read_text()

    def type(self, *argv: str, stdin: str = "") -> str:
        """Type a command as a person would, and return what it says; it must end well."""
        said, told, keyboard = io.StringIO(), io.StringIO(), sys.stdin
        sys.stdin = io.StringIO(stdin)
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
                code = run([*argv, "--config", str(self.config)])
        finally:
            sys.stdin = keyboard
        assert code == 0, told.getvalue()
        if os.geteuid() == 0 and not self.machine.is_ours:
            # The group that Dovecot reads them as has another number in that root.
            for name in ("passwords", "senders"):
                with contextlib.suppress(FileNotFoundError):
                    secret = self.directory / f"postamt-sync.{name}"
                    os.chown(secret, 0, self.machine.gid("dovecot"))
        return said.getvalue()

    def write(self, *options: str) -> None:
        """Write Dovecot's files and everybody's passwords."""
        where = ("--directory", str(self.directory))
        version = ("--version", str(self.machine.version))
        self.type("dovecot", "--write", *version, *where, *options)
        for name, password in PASSWORDS.items():
            self.type("dovecot", "user", "add", name, *where, stdin=f"{password}\n")

    def start(self) -> None:
        """Start Dovecot and wait until it greets."""
        command = [*self.machine.inside(self.base), "dovecot", "-F", "-c"]
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, str(self.directory / "dovecot.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment(),
            )
        end = time.monotonic() + PATIENCE
        while not greets(self.imaps):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @contextmanager
    def client(self, login: str, password: str) -> Iterator[IMAPClient]:
        with IMAPClient("localhost", self.imaps, ssl_context=trusting(self.base)) as client:
            client.plain_login(login, password)
            yield client

    def lets_in(self, login: str, password: str) -> bool:
        """Dovecot looks at its list of people once a second at most."""
        try:
            with self.client(login, password):
                return True
        except LoginError:
            return False

    def deliver(self, name: str, folder: str, body: bytes) -> None:
        """Deliver by our own Maildir code, as the daemon does that runs as the mail user."""
        (mailbox,) = (m for m in self.settings.mailboxes if m.name == name)
        maildir = Maildir(mailbox.maildir, Disk())
        maildir.create()
        maildir.open_folder(folder)
        self.delivered += 1
        number = self.delivered
        stem = make_stem("mail", f"incoming/{number}", "e", 1_700_000_000 + number)
        draft = maildir.begin(stem)
        draft.write(body)
        written = draft.finish(1_700_000_000)
        give(self.base / "mail", self.settings.home.mail_user)
        maildir.publish(stem, folder, final_name(stem, written.size, written.vsize))
        maildir.sync_published(folder)


@contextmanager
def household(machine: Machine, more: str = "") -> Iterator[Served]:
    """Lay out a household that is not served yet; `more` are options of the table [home]."""
    # Dovecot's sockets need a shorter path than pytest's own directories have.
    base = Path(tempfile.mkdtemp(prefix="dh"))
    served = Served(base, machine)
    try:
        base.chmod(0o755)
        for directory in (served.directory, base / "mail"):
            directory.mkdir()
        certificate, key = base / "fullchain.pem", base / "privkey.pem"
        certificate.write_bytes(certificate_pem(private_key(), name="localhost"))
        key.write_bytes(key_pem(private_key()))
        user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        mail = base / "mail"
        served.config.write_text(
            configuration(
                base,
                HOME.format(user=user, certificate=certificate, key=key, more=more),
                maildirs={"anna": mail / "anna/Maildir", "bruno": mail / "b\u00fccher"},
                addresses=ADDRESSES,
            )
        )
        give(base / "mail", user)
        write_local(served)
        yield served
    finally:
        served.stop()
        shutil.rmtree(base)


def write_local(served: Served, more: str = "") -> None:
    """Write what makes it a private instance."""
    text = LOCAL.format(base=served.base, imaps=served.imaps)
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        group = grp.getgrgid(me.pw_gid).gr_name
        text += ROOTLESS.format(user=me.pw_name, group=group)
    (served.directory / "local.conf").write_text(text + more)


def trusting(base: Path) -> ssl.SSLContext:
    """Trust the household's own certificate and no other."""
    return ssl.create_default_context(cafile=str(base / "fullchain.pem"))


def greets(port: int) -> bool:
    """Tell whether something speaks TLS there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 1) as connection,
            context.wrap_socket(connection) as encrypted,
        ):
            return bool(encrypted.recv(64))
    except OSError:
        return False


def give(path: Path, user: str) -> None:
    """Hand a tree to the mail user, where this is root's to do."""
    if os.geteuid() != 0:
        return
    owner = pwd.getpwnam(user)
    for each in (path, *path.rglob("*")):
        os.chown(each, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
