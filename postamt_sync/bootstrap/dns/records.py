"""The DNS records that a stack needs (SES Developer Guide; RFC 7208, 7489, 6186, 8314)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from postamt_sync.aws.regions import dkim_zone
from postamt_sync.aws.smtp import smtp_server
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.dns.record import Purpose, Record
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.errors import PostamtError

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
class DomainAtSes:
    """What SES knows of a domain: Easy DKIM's three tokens, the zone that holds their keys, and the
    MAIL FROM domain.

    There are no tokens if the domain signs with its own key. `mail_from` is "" if SES uses its own
    MAIL FROM domain.
    """

    tokens: tuple[str, ...]
    zone: str
    mail_from: str = ""


def known(aws: AwsClient, domain: str) -> DomainAtSes | None:
    """Return what SES knows of the domain; None if it does not know it yet.

    Raises PostamtError if AWS refuses or gives an impossible answer.
    """
    answer = aws.read(
        "sesv2", "get_email_identity", missing=("NotFoundException",), EmailIdentity=domain
    )
    if answer is None:
        return None
    dkim = answer.get("DkimAttributes", {})
    own_key = dkim.get("SigningAttributesOrigin") == "EXTERNAL"
    found = DomainAtSes(
        () if own_key else tuple(dkim.get("Tokens", ())),
        dkim.get("SigningHostedZone") or dkim_zone(aws.region),
        answer.get("MailFromAttributes", {}).get("MailFromDomain", ""),
    )
    names = filter(None, (found.zone, found.mail_from))
    if not all(map(_TOKEN.fullmatch, found.tokens)) or not all(map(_HOST_NAME.fullmatch, names)):
        raise PostamtError(
            f"SES names records for {domain} that cannot be right.",
            "Look at the domain's page in the SES console; AWS_ENDPOINT_URL may lead elsewhere.",
        )
    return found


def identities(stack: Stack, aws: AwsClient) -> dict[str, DomainAtSes]:
    """Return what SES knows of the stack's domains; those that it does not know are left out."""
    found = {domain: known(aws, domain) for domain in stack.domains}
    return {domain: identity for domain, identity in found.items() if identity is not None}


def is_host_name(host: str) -> bool:
    """Whether an SRV record may point to `host`: a name with a dot, not an address (RFC 2782)."""
    return _HOST_NAME.fullmatch(host) is not None and not host.rpartition(".")[2].isdigit()


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers that mail clients use. `imap` is the host of the household's IMAP server, "" if
    not configured. With `relay`, clients send through the same host instead of SES."""

    imap: str = ""
    relay: bool = False


def records(
    stack: Stack, known_domains: Mapping[str, DomainAtSes], servers: Servers = Servers()
) -> tuple[Record, ...]:
    """Return all records that should exist, domain by domain, the most important first.

    A domain that is not in `known_domains` (what SES knows) gets no DKIM records yet.
    """
    return tuple(
        record
        for domain in stack.domains
        for record in _domain(stack, domain, known_domains.get(domain), servers)
    )


def _domain(
    stack: Stack, domain: str, identity: DomainAtSes | None, servers: Servers
) -> Iterator[Record]:
    inbound = f"10 {INBOUND.format(region=stack.region)}."
    yield Record(
        *(domain, Purpose.RECEIVE, domain, "MX", inbound),
        "Brings mail to SES. It must be the only MX.",
    )
    if domain in stack.subdomains:
        yield Record(
            *(domain, Purpose.RECEIVE, f"*.{domain}", "MX", inbound),
            "Brings the mail of the subdomains to SES. One that has records of its own, of "
            "whatever type, needs this MX as well.",
        )
    if identity is not None:
        yield from _dkim(domain, identity)
    # An identity that existed before us keeps its MAIL FROM domain.
    mail_from = (identity and identity.mail_from) or stack.mail_from_domain(domain)
    yield from _mail_from(stack, domain, mail_from)
    yield Record(
        *(domain, Purpose.DMARC, f"_dmarc.{domain}", "TXT"),
        # Reports to another domain would need that domain's consent in its DNS (RFC 7489, section
        # 7.1); every domain has the address postmaster (RFC 5321, section 4.5.1).
        f"v=DMARC1; p={stack.dmarc_policy}; rua=mailto:postmaster@{domain}",
        "What receivers do with mail that only pretends to be ours; reports go to postmaster.",
    )
    yield Record(
        *(domain, Purpose.SPF, domain, "TXT", SPF),
        f"Not needed: SPF looks at the MAIL FROM, {mail_from}, which has its own. It tells the "
        f"world that nobody else sends as @{domain}. One SPF a name: leave it out where there "
        "is one.",
        optional=True,
    )
    yield from _clients(stack, domain, servers)


def _dkim(domain: str, identity: DomainAtSes) -> Iterator[Record]:
    for token in identity.tokens:
        yield Record(
            *(domain, Purpose.DKIM, f"{token}._domainkey.{domain}", "CNAME"),
            f"{token}.{identity.zone}.",
            "Proves the domain to SES, and signs what we send.",
        )


def _mail_from(stack: Stack, domain: str, name: str) -> Iterator[Record]:
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
    """Return a service's SRV record, with priority 0 because it is the only one (RFC 6186)."""
    name = f"{service}._tcp.{domain}"
    return Record(domain, purpose, name, "SRV", f"0 {place}", note, optional=True)
