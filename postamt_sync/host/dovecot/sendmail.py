"""Sends what Sieve scripts send, through SES: the file with the credentials, and the sending.

Dovecot's own SMTP client cannot log in, which SES requires. So Dovecot runs a program, as the user
who owns the Maildirs: that user can read this file, but no other of ours with credentials.
"""

from __future__ import annotations

import configparser
import io
import re
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.events import printable
from postamt_sync.host.dovecot.passwd_files import sender_fields
from postamt_sync.host.smtp_credentials import SmtpCredentials
from postamt_sync.log_line import without_markup
from postamt_sync.regular_file import read_small

SECONDS = 30.0
RELAY = "Give Dovecot the credentials: sudo postamt-sync dovecot relay FILE"

_SERVER, _HOUSEHOLD, _MAILBOX = "server", "household", "mailbox "
_RELAY_LINE = re.compile(r"^submission_relay_(user|password) = (\S+)$", re.MULTILINE)
_BARE_LF = re.compile(rb"(?<!\r)\n")


def sendmail_file(directory: Path) -> Path:
    """Return the path of the credentials for what Sieve scripts send."""
    return directory / "postamt-sync.sendmail"


@dataclass(frozen=True, slots=True)
class SendmailAccounts:
    """SES's server, and its users: one for the household, and those that mailboxes have instead."""

    host: str
    port: int
    household: SmtpCredentials | None = None
    mailboxes: Mapping[str, SmtpCredentials] = field(default_factory=dict)

    def of(self, mailbox: str) -> SmtpCredentials:
        """Return the credentials of a mailbox. Raises MisconfiguredError if it has none."""
        found = self.mailboxes.get(mailbox, self.household)
        if found is None:
            whose = f"of {mailbox}" if mailbox else "of the household"
            raise MisconfiguredError(f"There are no credentials {whose} for SES.", RELAY)
        return found


def accounts_of(relay_conf: str, senders: str, host: str, port: int) -> SendmailAccounts:
    """Return who sends as which SES user, according to the relay's own files."""
    told = dict(_RELAY_LINE.findall(relay_conf))
    household = SmtpCredentials(told["user"], told["password"]) if len(told) > 1 else None
    mailboxes = {
        name: SmtpCredentials(user, password)
        for name, (user, password) in sender_fields(senders).items()
    }
    return SendmailAccounts(host, port, household, mailboxes)


def as_text(accounts: SendmailAccounts) -> str:
    """Return the file's text."""
    parser = configparser.ConfigParser(interpolation=None)
    parser[_SERVER] = {"host": accounts.host, "port": str(accounts.port)}
    named = {f"{_MAILBOX}{name}": found for name, found in accounts.mailboxes.items()}
    if accounts.household is not None:
        named = {_HOUSEHOLD: accounts.household, **named}
    for section, found in named.items():
        parser[section] = {"username": found.user, "password": found.password}
    text = io.StringIO()
    text.write("# Made by: postamt-sync dovecot relay. For what Sieve sends.\n\n")
    parser.write(text)
    return text.getvalue()


def read_accounts(path: Path) -> SendmailAccounts:
    """Read the file. Raises MisconfiguredError, which never shows its contents."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_small(path, links=True).decode())
        sections = {name: parser[name] for name in parser.sections()}
        found = {
            name: SmtpCredentials(section["username"], section["password"])
            for name, section in sections.items()
            if name != _SERVER
        }
        server = sections[_SERVER]
        mailboxes = {
            name.removeprefix(_MAILBOX): one
            for name, one in found.items()
            if name.startswith(_MAILBOX)
        }
        return SendmailAccounts(
            server["host"], int(server["port"]), found.get(_HOUSEHOLD), mailboxes
        )
    except OSError as error:
        raise MisconfiguredError(
            f"{printable(str(path))} cannot be read: {error.strerror}.", RELAY
        ) from None
    except (ValueError, KeyError, configparser.Error):
        raise MisconfiguredError(
            f"{printable(str(path))} is not in the expected form.", RELAY
        ) from None


def send(
    accounts: SendmailAccounts, mailbox: str, sender: str, recipients: Sequence[str], mail: bytes
) -> None:
    """Hand a mail to SES as the user of a mailbox; on return, SES has accepted it.

    `sender` is MAIL FROM, "" for the null reverse path. Raises MisconfiguredError for what SES will
    never accept, TryLaterError for everything else.
    """
    credentials = accounts.of(mailbox)
    text = _BARE_LF.sub(b"\r\n", mail)
    try:
        with smtplib.SMTP(accounts.host, accounts.port, timeout=SECONDS) as client:
            client.starttls(context=ssl.create_default_context())
            client.login(credentials.user, credentials.password)
            client.sendmail(sender, recipients, text)
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise _refusal(accounts.host, code, said) from error
    except smtplib.SMTPResponseException as error:
        raise _refusal(accounts.host, error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        why = printable(without_markup(str(error)), 200)
        raise TryLaterError(
            f"{accounts.host} did not accept the mail: {why}.",
            "Look at the network, and at what stands between this machine and SES.",
        ) from error


def _refusal(host: str, code: int, said: bytes | str) -> PostamtError:
    words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    problem = f"{host} did not accept the mail: {code} {printable(words, 300).rstrip('.')}."
    if code < 500:
        return TryLaterError(problem, "It may accept it later.")
    return MisconfiguredError(
        problem,
        "SES sends only from your own addresses, in its sandbox only to verified ones, and never "
        "without a sender: vacation notes are sent, but other people's mail that a script "
        "redirects is not.",
    )
