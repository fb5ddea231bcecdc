"""The records that a stack needs in the DNS (SES Developer Guide; RFC 7208, 7489, 6186, 8314)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postamt_sync.bootstrap.record import Purpose, Record
from postamt_sync.bootstrap.regions import dkim_zone
from postamt_sync.bootstrap.smtp import smtp_server
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.errors import PostamtError

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

INBOUND = "inbound-smtp.{region}.amazonaws.com"
FEEDBACK = "feedback-smtp.{region}.amazonses.com"
SPF = "v=spf1 include:amazonses.com ~all"
READ = "Tells mail clients where to read mail."
READ_IN_THE_CLEAR = "Tells mail clients that mail is not read without TLS."
SEND_THROUGH_SES = (
    "Tells mail clients where to send. The user name is that of the SMTP credentials."
)
_TOKEN = re.compile(r"[A-Za-z0-9]{1,63}")
_HOST_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dkim:
    """What SES says of a domain's Easy DKIM: three tokens, and the zone that they lead into."""

    tokens: tuple[str, ...]
    zone: str


def dkim_of(client: SESV2Client, domain: str, region: str) -> Dkim | None:
    """Ask SES for the domain's DKIM; None while SES does not know the domain, or has none for it.

    Raises what boto3 raises.
    """
    try:
        answer = client.get_email_identity(EmailIdentity=domain)
    except client.exceptions.NotFoundException:
        return None
    attributes = answer.get("DkimAttributes", {})
    tokens = tuple(attributes.get("Tokens", ()))
    if not tokens:
        return None
    zone = attributes.get("SigningHostedZone") or dkim_zone(region)
    if not all(_TOKEN.fullmatch(token) for token in tokens) or not _HOST_NAME.fullmatch(zone):
        raise PostamtError(
            f"SES names DKIM records for {domain} that cannot be right.",
            "Look at the domain's page in the SES console; AWS_ENDPOINT_URL may lead elsewhere.",
        )
    return Dkim(tokens, zone)


def is_host_name(host: str) -> bool:
    """Whether an SRV record may point to it: a name with a dot, no address (RFC 2782)."""
    return _HOST_NAME.fullmatch(host) is not None and not host.rpartition(".")[2].isdigit()


@dataclass(frozen=True, slots=True)
class Servers:
    """What mail clients talk to. `imap` is where the household's IMAP server is reached, "" where
    nobody says so. With `relay` they send through the same server, not straight through SES."""

    imap: str = ""
    relay: bool = False


def records(
    stack: Stack, dkim: Mapping[str, Dkim], servers: Servers = Servers()
) -> tuple[Record, ...]:
    """Return everything that is to be in the DNS, domain by domain, what matters most first.

    A domain that is missing in `dkim` gets no DKIM records yet.
    """
    return tuple(
        record for domain in stack.domains for record in _domain(stack, domain, dkim, servers)
    )


def _domain(
    stack: Stack, domain: str, dkim: Mapping[str, Dkim], servers: Servers
) -> Iterator[Record]:
    yield Record(
        *(domain, Purpose.RECEIVE, domain, "MX"),
        f"10 {INBOUND.format(region=stack.region)}.",
        "Brings mail to SES. It must be the only MX.",
    )
    if domain in dkim:
        yield from _dkim(domain, dkim[domain])
    yield from _mail_from(stack, domain)
    yield Record(
        *(domain, Purpose.DMARC, f"_dmarc.{domain}", "TXT"),
        # Reports to another domain would need that domain's consent in its DNS (RFC 7489, 7.1);
        # postmaster is an address that every domain has (RFC 5321, 4.5.1).
        f"v=DMARC1; p={stack.dmarc_policy}; rua=mailto:postmaster@{domain}",
        "What receivers do with mail that only pretends to be ours; reports go to postmaster.",
    )
    yield Record(
        *(domain, Purpose.SPF, domain, "TXT", SPF),
        f"Not needed: SPF looks at the MAIL FROM, {stack.mail_from_domain(domain)}, which has its "
        f"own. It tells the world that nobody else sends as @{domain}. One SPF a name: leave it "
        "out where there is one.",
        optional=True,
    )
    yield from _clients(stack, domain, servers)


def _dkim(domain: str, dkim: Dkim) -> Iterator[Record]:
    for token in dkim.tokens:
        yield Record(
            *(domain, Purpose.DKIM, f"{token}._domainkey.{domain}", "CNAME"),
            f"{token}.{dkim.zone}.",
            "Proves the domain to SES, and signs what we send.",
        )


def _mail_from(stack: Stack, domain: str) -> Iterator[Record]:
    name = stack.mail_from_domain(domain)
    yield Record(
        *(domain, Purpose.MAIL_FROM, name, "MX"),
        f"10 {FEEDBACK.format(region=stack.region)}.",
        "Brings bounces of sent mail to SES. It must be the only MX of this name.",
    )
    yield Record(
        *(domain, Purpose.MAIL_FROM_SPF, name, "TXT", SPF),
        "Says that SES may send for us. This is the SPF that receivers look at.",
    )


def _clients(stack: Stack, domain: str, servers: Servers) -> Iterator[Record]:
    if servers.imap:
        yield _service(domain, Purpose.IMAP, "_imaps", f"1 993 {servers.imap}.", READ)
        yield _service(domain, Purpose.IMAP, "_imap", "0 0 .", READ_IN_THE_CLEAR)
    server = smtp_server(stack.region)
    if servers.imap and servers.relay:
        host, note = servers.imap, "Tells mail clients where to send: where they read, too."
    elif server is not None:
        host, note = server.host, SEND_THROUGH_SES
    else:
        return
    for service, port in (("_submissions", 465), ("_submission", 587)):
        yield _service(domain, Purpose.SUBMISSION, service, f"1 {port} {host}.", note)


def _service(domain: str, purpose: Purpose, service: str, place: str, note: str) -> Record:
    """Return the record of a service, with the priority that the only one has (RFC 6186)."""
    name = f"{service}._tcp.{domain}"
    return Record(domain, purpose, name, "SRV", f"0 {place}", note, optional=True)
