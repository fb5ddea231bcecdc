"""Renders a complete, commented `dovecot.conf`, in the syntax of Dovecot 2.3 or 2.4.

Nothing is included from a distribution's own files, because some would hide the mail: Debian 13's
`mail_inbox_path` alone moves the INBOX. A person's own settings go into `local.conf`, which is read
last and which we never write.
"""

from __future__ import annotations

from pathlib import Path
from string import Template

from postamt_sync.host.dovecot.blocks import (
    CLOSING,
    FIRST,
    IMAP,
    LMTP,
    LOGINS,
    MAIL,
    NAMESPACE,
    NO_SENDMAIL,
    OPENING,
    PLACES,
    SENDERS,
    SENDMAIL,
    SUBMISSION,
    TLS,
)
from postamt_sync.host.dovecot.description import DovecotService, SpecialFolder, Version
from postamt_sync.host.smtp_credentials import SmtpCredentials

BASE = "/run/dovecot/"
"""The directory of Dovecot's own sockets."""

LARGEST_MAIL = "40M"
"""What SES accepts over SMTP, after encoding (docs.aws.amazon.com/ses/latest/dg/quotas.html)."""


def mailboxes_file(directory: Path) -> Path:
    """Return the path of the list of mailboxes, which only we write."""
    return directory / "postamt-sync.mailboxes"


def passwords_file(directory: Path) -> Path:
    """Return the path of the hashed passwords."""
    return directory / "postamt-sync.passwords"


def relay_file(directory: Path) -> Path:
    """Return the path of the household's credentials for SES."""
    return directory / "postamt-sync.relay.conf"


def senders_file(directory: Path) -> Path:
    """Return the path of the credentials of mailboxes that have their own SES user."""
    return directory / "postamt-sync.senders"


def relay_configuration(credentials: SmtpCredentials) -> str:
    """Return the settings with which Dovecot logs in at SES; neither value needs escaping."""
    return (
        "# Made by: postamt-sync dovecot relay\n"
        f"submission_relay_user = {credentials.user}\n"
        f"submission_relay_password = {credentials.password}\n"
    )


def no_relay_configuration() -> str:
    """Return the file's text for when nobody sends as the household."""
    return (
        "# Made by: postamt-sync dovecot relay\n"
        "# Each mailbox sends as a user of its own; without one it cannot send.\n"
    )


def configuration(service: DovecotService, version: Version, directory: Path) -> str:
    """Return `dovecot.conf`, for a Dovecot whose files are in `directory`."""
    protocols = ["imap"]
    protocols += ["lmtp"] if service.lmtp else []
    protocols += ["submission"] if service.relay else []
    blocks = [OPENING, FIRST[version], _host(service), TLS[version], LOGINS[version]]
    blocks += [SENDERS[version] if service.relay else "", PLACES[version], MAIL[version]]
    blocks += [IMAP, NAMESPACE, LMTP[version] if service.lmtp else ""]
    blocks += [SUBMISSION if service.relay else "", CLOSING]
    values = {
        "version": version,
        "directory": directory,
        "protocols": " ".join(protocols)
        if version is Version.V2_3
        else "\n".join(f"  {protocol} = yes" for protocol in protocols),
        "host": service.host,
        "certificate": service.tls_certificate,
        "key": service.tls_key,
        "mailboxes": mailboxes_file(directory),
        "passwords": passwords_file(directory),
        "user": service.mail_user,
        "group": service.mail_group,
        "folders": "".join(map(_folder, service.folders)),
        "lmtp_listener": _listener(service, version),
        "sendmail": _sendmail(service, version),
        "largest": LARGEST_MAIL,
        "senders": senders_file(directory),
        "relay_conf": relay_file(directory),
    }
    if service.relay:
        values |= {"relay": service.relay.host, "relay_port": service.relay.port}
    return Template("".join(blocks)).substitute(values)


def _host(service: DovecotService) -> str:
    return "\n# How Dovecot names itself.\nhostname = $host\n" if service.host else ""


def _sendmail(service: DovecotService, version: Version) -> str:
    if not service.sendmail:
        return NO_SENDMAIL
    return Template(SENDMAIL[version]).substitute(command=service.sendmail)


def _listener(service: DovecotService, version: Version) -> str:
    """Return the LMTP listener, open only to the user that delivers mail."""
    if not service.lmtp.startswith("/"):
        host, _, port = service.lmtp.rpartition(":")
        word = "address" if version is Version.V2_3 else "listen"
        listener = [f"{word} = {host.strip('[]')}", f"port = {port}"]
        return _block("inet_listener lmtp", listener)
    rights = [f"user = {service.mail_user}", f"group = {service.mail_group}", "mode = 0600"]
    # Dovecot has a listener of its own here, under its bare name, and refuses a second one.
    return _block(f"unix_listener {service.lmtp.removeprefix(BASE)}", rights)


def _block(name: str, settings: list[str]) -> str:
    return "".join([f"  {name} {{\n", *(f"    {line}\n" for line in settings), "  }\n"])


def _folder(folder: SpecialFolder) -> str:
    use = f"    special_use = {' '.join(folder.uses)}\n" if folder.uses else ""
    return f'  mailbox "{folder.name}" {{\n{use}    auto = subscribe\n  }}\n'
