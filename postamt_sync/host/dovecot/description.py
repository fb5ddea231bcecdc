"""What Dovecot has to know of the household, taken from the configuration and safe to write.

Dovecot's lists have no quoting: a login or path that they cannot hold is refused or left out here,
so that the code that renders them needs no escaping.
"""

from __future__ import annotations

import enum
import re
import shutil
import subprocess
from dataclasses import astuple, dataclass
from pathlib import Path

from postamt_sync.aws.smtp import smtp_server
from postamt_sync.config import Mailbox, Settings
from postamt_sync.config.folder import SENT
from postamt_sync.config.verdict_folders import verdict_folders
from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import printable
from postamt_sync.host.logins import domains_by_mailbox, logins_of
from postamt_sync.host.mail_client import domains_of
from postamt_sync.host.service.user import group_of

FOUND_IN = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
"""Where Dovecot's programs are; an ordinary user's PATH may lack some of these."""

_PATH = re.compile(r"[\w/._@+,=~-]+")
"""Letters of any script, digits and signs without a meaning to Dovecot: no blank, quote, colon,
%."""

_FOLDER = re.compile(r'(?:[^"\\%\x00-\x1f\x7f]|%(?!\{))+')
"""No quotes or backslashes, which 2.3 and 2.4 read differently, and no 2.4 variables."""


class Version(enum.StrEnum):
    """A Dovecot whose configuration syntax we can write; those of 2.3 and 2.4 are incompatible."""

    V2_3 = "2.3"
    V2_4 = "2.4"


@dataclass(frozen=True, slots=True)
class MailAccount:
    """One mailbox as Dovecot serves it.

    `logins` are the addresses with which its owner may log in; so may they with any address in
    `domains` that is not another mailbox's.
    """

    name: str
    maildir: Path
    home: Path
    logins: tuple[str, ...]
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpecialFolder:
    """A folder for which clients know a special use (RFC 6154); levels are separated by /."""

    name: str
    uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relay:
    """The server for mail that clients send through Dovecot: SES, with STARTTLS."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class DovecotService:
    """Everything that a complete configuration of Dovecot needs."""

    accounts: tuple[MailAccount, ...]
    folders: tuple[SpecialFolder, ...]
    mail_user: str
    mail_group: str
    tls_certificate: Path
    tls_key: Path
    host: str = ""
    """The name that clients use; if empty, Dovecot uses the machine's."""
    relay: Relay | None = None
    lmtp: str = ""
    """The address for LMTP; empty if no mailbox gets its mail that way."""
    sendmail: str = ""
    """The command with which Sieve scripts send, without blanks in its words; empty for none."""


def service_of(settings: Settings, *, submission: bool) -> DovecotService:
    """Return what Dovecot has to know; with `submission`, it also accepts mail from clients.

    Raises MisconfiguredError if no certificate is configured or Dovecot cannot hold a path.
    """
    certificate, key = _certificate(settings)
    domains = domains_by_mailbox(settings, domains_of(settings))
    return DovecotService(
        accounts=tuple(account_of(m, domains.get(m.name, ())) for m in settings.mailboxes),
        folders=special_folders(settings),
        mail_user=settings.home.mail_user,
        mail_group=group_of(settings.home.mail_user),
        tls_certificate=writable(certificate, "home.tls_certificate"),
        tls_key=writable(key, "home.tls_key"),
        host=settings.home.imap_host,
        relay=_relay(settings.aws.region) if submission else None,
        lmtp=_lmtp(settings),
    )


def account_of(mailbox: Mailbox, domains: tuple[str, ...] = ()) -> MailAccount:
    """Return one mailbox as Dovecot serves it."""
    maildir = writable(mailbox.maildir, f'maildir of the mailbox "{mailbox.name}"')
    # The home is for Dovecot's own files, such as Sieve scripts. It may be inside a Maildir, where
    # only names that start with a dot are folders.
    home = maildir.parent if maildir.name == "Maildir" else maildir / "dovecot"
    return MailAccount(mailbox.name, maildir, home, logins_of(mailbox), domains)


def special_folders(settings: Settings) -> tuple[SpecialFolder, ...]:
    """Return the folders that every mailbox has, including our own (Junk, virus, DMARC).

    One whose name Dovecot cannot hold is left out; delivery still subscribes to it.
    """
    folders = verdict_folders(settings.delivery)
    uses: dict[str, list[str]] = {}
    for name, use in (
        ("Drafts", r"\Drafts"),
        (SENT, r"\Sent"),
        (folders.junk or "Junk", r"\Junk"),
        ("Trash", r"\Trash"),
        ("Archive", r"\Archive"),
        *((folder, "") for folder in astuple(folders)),
    ):
        if name and _FOLDER.fullmatch(name):
            uses.setdefault(name.replace(".", "/"), []).extend([use] if use else [])
    return tuple(SpecialFolder(name, tuple(means)) for name, means in uses.items())


def installed_version() -> Version | None:
    """Return which Dovecot is installed; None if there is none or it is another version."""
    program = shutil.which("dovecot") or shutil.which("dovecot", path=FOUND_IN)
    if program is None:
        return None
    said = subprocess.run(  # noqa: S603 - a program that was looked up, no shell
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    return next((version for version in Version if said.startswith(f"{version}.")), None)


def writable(path: Path, what: str) -> Path:
    """Return the path if Dovecot's files can hold it, else raise MisconfiguredError naming
    `what`."""
    if not _PATH.fullmatch(str(path)):
        raise MisconfiguredError(
            f"The {what} is {printable(str(path))}, which Dovecot's files cannot hold.",
            "Use letters, digits and / . _ @ + , = ~ - in its path.",
        )
    return path


def _lmtp(settings: Settings) -> str:
    if all(mailbox.delivery == "maildir" for mailbox in settings.mailboxes):
        return ""
    server = settings.delivery.lmtp
    if server.startswith("/"):
        writable(Path(server), "option delivery.lmtp")
    return server


def _relay(region: str) -> Relay:
    server = smtp_server(region)
    if server is None:
        raise MisconfiguredError(
            f"SES has no SMTP endpoint in {region}, so Dovecot cannot send through it.",
            "Leave submission out, or send through another region's SES.",
        )
    return Relay(server.host, server.starttls[0])


def _certificate(settings: Settings) -> tuple[Path, Path]:
    home, webhook = settings.home, settings.webhook
    if home.tls_certificate and home.tls_key:
        return home.tls_certificate, home.tls_key
    if webhook is not None and webhook.tls_certificate and webhook.tls_key:
        return webhook.tls_certificate, webhook.tls_key
    raise MisconfiguredError(
        "Dovecot needs a certificate, and none is configured: it takes no password without TLS.",
        "Set tls_certificate and tls_key in the table [home].",
    )
