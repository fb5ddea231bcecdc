"""The records of the webmail's name: one proves it to ACM, one leads to CloudFront."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.dns.record import Purpose, Record
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.webmail_resources import parts

PROOF = (
    "Proves the webmail's name to ACM, which gives the certificate and renews it as long as this "
    "record is there."
)
LEADS = "Leads browsers to the webmail. In Route 53 it is an alias (A and AAAA)."
AT_THE_DOMAIN = (
    "Leads browsers to the webmail. At the domain itself no CNAME can stand: make what the DNS "
    "host calls ALIAS, ANAME or a flattened CNAME. In Route 53 it is an alias (A and AAAA)."
)
SHORT_TTL = 300
"""Seconds. Short: a webmail that is removed and created again has another CloudFront name."""


def webmail_records(stack: Stack, aws: AwsClient) -> tuple[Record, ...]:
    """Return the DNS records that the webmail needs, as far as AWS has named them already.

    Empty if the stack has no webmail. Raises PostamtError if AWS refuses.
    """
    webmail = stack.webmail
    if webmail is None:
        return ()
    made = parts(webmail, aws)
    certificate = made.certificate.find()
    proof = certificate.record if certificate is not None else None
    distribution = made.distribution.find()
    leads_to = distribution.host if distribution is not None else ""
    return tuple(records_of(stack.domains, webmail.host, proof, leads_to))


def records_of(
    domains: Collection[str], host: str, proof: tuple[str, str] | None, leads_to: str
) -> Iterator[Record]:
    """Yield the records of a webmail's host: none without one of the domains above it.

    `proof` is name and value of ACM's record, `leads_to` CloudFront's host; None and "" as long as
    AWS has not said them.
    """
    domain = domain_of(host, domains)
    if not domain:
        return
    if proof is not None:
        name, value = proof
        yield Record(domain, Purpose.CERTIFICATE, name, "CNAME", f"{value}.", PROOF)
    if leads_to:
        note = AT_THE_DOMAIN if host == domain else LEADS
        value = f"{leads_to.rstrip('.')}."
        yield Record(domain, Purpose.WEBMAIL, host, "CNAME", value, note, ttl=SHORT_TTL)


def domain_of(host: str, domains: Collection[str]) -> str:
    """Return the domain that a host name belongs to, the longest that fits; "" if none does."""
    fitting = [d for d in domains if host == d or host.endswith(f".{d}")]
    return max(fitting, key=len, default="")
