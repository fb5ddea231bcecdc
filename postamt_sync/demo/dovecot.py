"""A private Dovecot that needs neither root nor the configuration of the machine.

It serves the given Maildirs over IMAP on a free port of 127.0.0.1 and touches nothing else. It
supports Dovecot 2.3 and 2.4, whose configuration languages differ.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, Self

from postamt_sync.errors import TryLaterError, UsageError

START_WITHIN = 20.0
"""Seconds; it usually takes well under one."""

LONGEST_BASE = 60
"""Characters: the paths of Dovecot's sockets start with it and may have at most 107."""

STOP_WITHIN = 5.0
PORTS_TRIED = 3
"""Another process may take the free port before Dovecot does."""

COMMON = """\
listen = 127.0.0.1
base_dir = {base}/run
state_dir = {base}/run
log_path = {base}/dovecot.log
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
mail_max_userip_connections = 100
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Junk {{
    special_use = \\Junk
    auto = subscribe
  }}
}}
"""

BEFORE_2_4 = """\
protocols = imap
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
passdb {{
  driver = passwd-file
  args = username_format=%u {base}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {base}/users
}}
"""

SINCE_2_4 = """\
protocols {{
  imap = yes
}}
auth_allow_cleartext = yes
auth_mechanisms {{
  plain = yes
}}
mail_driver = maildir
mail_path = ~/Maildir
passdb passwd-file {{
  passwd_file_path = {base}/users
}}
userdb passwd-file {{
  passwd_file_path = {base}/users
}}
"""

ELSEWHERE = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Directories that are often missing from a user's PATH."""


def find_dovecot() -> Path | None:
    """Return the dovecot program, or None if there is no Dovecot that serves IMAP."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *ELSEWHERE])
    found = shutil.which("dovecot", path=path)
    if found is None:
        return None
    libexec = (Path(d) / "dovecot" / "imap" for d in ("/usr/lib", "/usr/libexec", "/usr/local/lib"))
    # dovecot-core without dovecot-imapd has no imap program.
    return Path(found) if any(imap.exists() for imap in libexec) else None


@dataclass(frozen=True, slots=True)
class Runner:
    """The user that Dovecot runs as, and the command prefix that switches to it."""

    uid: int
    gid: int
    user: str
    group: str
    prefix: tuple[str, ...] = ()


class PrivateDovecot:
    """Serves Maildirs while the context is open; Dovecot answers once it is entered.

    `base` is a directory with a short path that only Dovecot uses; `users` maps each login to
    its Maildir. Maildirs are served as their owner. Those of root are served as the user
    `nobody` with the capability to read root's files, since Dovecot serves nothing as root.
    """

    def __init__(self, base: Path, users: Mapping[str, Path], password: str) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.log = base / "dovecot.log"
        self._base = base
        self._users = users
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = find_dovecot()
        if program is None:
            raise UsageError(
                "Dovecot is not installed.", "Install it with: sudo apt install dovecot-imapd"
            )
        if len(str(self._base)) > LONGEST_BASE:
            raise UsageError(
                f"The path of {self._base} is too long for Dovecot's sockets.",
                f"Use a path of at most {LONGEST_BASE} characters.",
            )
        runner = _runner([*self._users.values()])
        self._prepare(runner)
        version = dovecot_version(program)
        for _ in range(PORTS_TRIED):
            if self._start(program, version, runner):
                return self
        raise TryLaterError("The private Dovecot did not start.", f"See {self.log}")

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # The whole group at once: the master would wait a second for each of its children.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _prepare(self, runner: Runner) -> None:
        """Create home directories that link to the Maildirs, and the list of users."""
        lines = []
        for number, (login, maildir) in enumerate(self._users.items()):
            home = self._base / f"home{number}"
            home.mkdir(exist_ok=True)
            link = home / "Maildir"
            if not link.is_symlink():
                link.symlink_to(maildir.absolute())
            lines.append(f"{login}:{{PLAIN}}{self._password}:{runner.uid}:{runner.gid}::{home}::\n")
        users = self._base / "users"
        users.touch(mode=0o600)
        users.write_text("".join(lines))
        self.log.touch()
        if os.geteuid() == 0:
            for path in (self._base, *self._base.iterdir()):
                os.chown(path, runner.uid, runner.gid, follow_symlinks=False)

    def _start(self, program: Path, version: tuple[int, ...], runner: Runner) -> bool:
        """Start on a port that was free a moment ago; return False if it did not come up."""
        self.port = free_port()
        config = self._base / "dovecot.conf"
        config.write_text(configuration(version, self._base, self.port, runner))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*runner.prefix, str(program), "-F", "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal is not for Dovecot: whoever opened it closes it.
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            )
        end = time.monotonic() + START_WITHIN
        while time.monotonic() < end and self._process.poll() is None:
            if self._greets():
                return True
            time.sleep(0.02)
        self.__exit__()
        return False

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 1) as connection:
                return connection.recv(1024).startswith(b"* OK")
        except OSError:
            return False


def dovecot_version(program: Path) -> tuple[int, ...]:
    """Return the version as numbers, such as (2, 3, 19, 1)."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"\d+(\.\d+)+", said.stdout)
    if found is None:
        raise UsageError(
            f"{program} does not tell its version.",
            f"See whether it runs: {program} --version",
        )
    return tuple(int(number) for number in found[0].split("."))


def configuration(version: tuple[int, ...], base: Path, port: int, runner: Runner) -> str:
    """Return the configuration in the syntax of this version: 2.3, or 2.4 and later."""
    places = {"base": base, "port": port, "user": runner.user, "group": runner.group}
    if version < (2, 4):
        return (COMMON + BEFORE_2_4).format(**places)
    number = ".".join(str(n) for n in version[:3])
    first = f"dovecot_config_version = {number}\ndovecot_storage_version = {number}\n"
    return first + (COMMON + SINCE_2_4).format(**places)


def _runner(maildirs: list[Path]) -> Runner:
    if os.geteuid() != 0:
        return _known(os.geteuid()) or _refuse()
    owner = _known(maildirs[0].stat().st_uid) if maildirs[0].exists() else None
    if owner is not None and owner.uid != 0:
        return replace(owner, prefix=_setpriv(owner))
    nobody = _known(pwd.getpwnam("nobody").pw_uid) or _refuse()
    rights = "+dac_override,+fowner"
    capable = (f"--inh-caps={rights}", f"--ambient-caps={rights}")
    # Without this access(2) ignores the capabilities, and mailboxes look read-only.
    lasting = "--securebits=+no_setuid_fixup"
    return replace(nobody, prefix=(*_setpriv(nobody), *capable, lasting))


def _known(uid: int) -> Runner | None:
    """Dovecot switches users by name: a uid without a name is of no use to it."""
    try:
        entry = pwd.getpwuid(uid)
        group = grp.getgrgid(entry.pw_gid).gr_name
    except KeyError:
        return None
    return Runner(uid, entry.pw_gid, entry.pw_name, group)


def _refuse() -> NoReturn:
    raise UsageError(
        f"The user id {os.geteuid()} has no name, and Dovecot needs one.",
        "Run this as a user that is listed in /etc/passwd.",
    )


def _setpriv(runner: Runner) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={runner.uid}", f"--regid={runner.gid}", "--clear-groups")


def free_port() -> int:
    """Return a port that was free a moment ago; another process may take it meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
