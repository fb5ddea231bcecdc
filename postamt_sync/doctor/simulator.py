"""A mail to SES's mailbox simulator: may the users for sending send, and only as whom they should?

SES takes mail for the simulator also in its sandbox, delivers it to nobody, and counts it neither
for the reputation nor for the day's quota (SES Developer Guide, "Using the mailbox simulator"). So
only a real mail tells whether key, password, policy and verification go together, and a trial may
be one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid

from postamt_sync.aws.smtp import SmtpServer
from postamt_sync.config import Settings
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.sending import BySmtp, NotSentError
from postamt_sync.errors import PostamtError
from postamt_sync.host.mail_client import address_of
from postamt_sync.host.smtp_credentials import SmtpCredentials

SIMULATOR = "success@simulator.amazonses.com"


@dataclass(frozen=True, slots=True)
class SimulatorCheck:
    """One user for sending: of one `mailbox`, or of all where that is empty.

    `own` is an address that it may send from, empty where there is none. From `others` it may not:
    one of them is tried, and SES must refuse that.
    """

    server: SmtpServer
    credentials: SmtpCredentials
    own: str
    mailbox: str = ""
    others: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        return f"sending {self.mailbox}".rstrip()

    def look(self) -> Iterable[Finding]:
        if not self.own:
            words = "Not tried: there is no address to send from."
            remedy = 'Name a domain in the configuration: [stack] domains = ["example.com"].'
            yield Finding(self.subject, Severity.WARNING, words, remedy)
            return
        try:
            self._send(self.own)
        except PostamtError as error:
            words = f"As {self.own}: {error.problem}"
            yield Finding(self.subject, Severity.FAILURE, words, error.hint)
            return
        words = f"SES has taken a mail from {self.own} to its mailbox simulator."
        yield Finding(self.subject, Severity.OK, words)
        yield from self._tried(self.others[:1])

    def _tried(self, others: Iterable[str]) -> Iterator[Finding]:
        for other in others:
            try:
                self._send(other)
            except NotSentError:
                words = f"SES has refused to send a mail from {other} as {self.mailbox}."
                yield Finding(self.subject, Severity.OK, words)
            except PostamtError as error:
                yield Finding(self.subject, Severity.WARNING, error.problem, error.hint)
            else:
                yield Finding(
                    self.subject,
                    Severity.FAILURE,
                    f"{self.mailbox} can send as {other}, which is someone else's address.",
                    "Bring its policy up to date: postamt-sync bootstrap apply; and see that this "
                    "user has no other policies, and no group, in IAM.",
                )

    def _send(self, sender: str) -> None:
        mail = EmailMessage()
        mail["From"], mail["To"] = sender, SIMULATOR
        mail["Subject"] = "A trial of postamt-sync"
        mail["Date"] = format_datetime(localtime())
        mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
        mail.set_content("Nobody gets this.\n")
        BySmtp(self.server, self.credentials).send(mail, sender, SIMULATOR)


def shared_sender(settings: Settings) -> str:
    """Return an address that the user whom all share may send from; empty where there is none."""
    domains = settings.stack.domains
    every = [address_of(settings, mailbox) for mailbox in settings.mailboxes]
    ours = [address for address in every if address.rpartition("@")[2] in domains]
    return (ours or [f"postmaster@{domain}" for domain in domains] or [""])[0]


def own_sender(settings: Settings, name: str) -> str:
    """Return an address that the mailbox's own user may send from; empty where there is none."""
    (mailbox,) = (one for one in settings.mailboxes if one.name == name)
    return address_of(settings, mailbox)


def others_of(settings: Settings, name: str) -> tuple[str, ...]:
    """Return whole addresses of the other mailboxes."""
    return tuple(
        address
        for mailbox in settings.mailboxes
        if mailbox.name != name
        for address in mailbox.addresses
        if "@" in address
    )


def simulator_check(
    settings: Settings, server: SmtpServer, mailbox: str, credentials: SmtpCredentials
) -> SimulatorCheck:
    """Return the check of the user for sending of one mailbox, or of all where it is empty."""
    if not mailbox:
        return SimulatorCheck(server, credentials, shared_sender(settings))
    own, others = own_sender(settings, mailbox), others_of(settings, mailbox)
    return SimulatorCheck(server, credentials, own, mailbox, others)
