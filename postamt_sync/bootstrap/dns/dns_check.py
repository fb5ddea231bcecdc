"""Judges what is in the DNS where one of our records should be.

Pure: the same rules apply to what a resolver returns and to the contents of a hosted zone.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import dns.rdata
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.SRV import SRV

from postamt_sync.bootstrap.dns.record import Purpose, Record, said
from postamt_sync.events import printable

_SES_REGION = re.compile(r"(?:inbound|feedback)-smtp\.([a-z0-9-]+)\.amazon(?:aws|ses)\.com\.")
_ELSEWHERE = {
    Purpose.DKIM: "where SES has no key",
    Purpose.CERTIFICATE: "which proves nothing to ACM",
    Purpose.WEBMAIL: "where the webmail is not",
}
"""What is wrong with a CNAME that points somewhere else."""
_AT_MOST = 5
"""How many values found in the DNS are shown."""


class DnsVerdict(enum.StrEnum):
    """How the records found compare with the wanted one."""

    SEEN = "seen"
    WILL_DO = "will do"
    """Different, but just as good."""
    MISSING = "missing"
    DIFFERENT = "different"
    UNKNOWN = "unknown"
    """The DNS gave no answer."""


class WhyMissing(enum.Enum):
    """What is found where a record is missing."""

    NO_DOMAIN = enum.auto()
    """The domain itself does not exist, so none of its records can."""
    WILDCARD = enum.auto()
    """A wildcard answers in place of the name."""
    MISNAMED = enum.auto()
    """The record stands at another name."""


@dataclass(frozen=True, slots=True)
class DnsFinding:
    """One record looked up. `seen` is what was found, safe to show; `problem` and `remedy` are a
    sentence each, or empty."""

    record: Record
    verdict: DnsVerdict
    seen: tuple[str, ...] = field(default=())
    problem: str = ""
    remedy: str = ""
    why_missing: WhyMissing | None = None
    """What is known of a missing record beyond that."""

    @property
    def just_missing(self) -> bool:
        """Whether the verdict says all that is known."""
        return self.verdict is DnsVerdict.MISSING and self.why_missing is None

    @property
    def well(self) -> bool:
        """Whether mail is received and sent with the record as it is."""
        fine = self.verdict in {DnsVerdict.SEEN, DnsVerdict.WILL_DO}
        return fine or (self.record.optional and self.verdict is not DnsVerdict.UNKNOWN)


def check_record(record: Record, found: Iterable[dns.rdata.Rdata]) -> DnsFinding:
    """Compare a record with all records found at its name, of its type."""
    values = sorted(found)
    match record.purpose:
        case Purpose.RECEIVE | Purpose.MAIL_FROM:
            return _judge_mx(record, [v for v in values if isinstance(v, MX)])
        case Purpose.DKIM | Purpose.CERTIFICATE | Purpose.WEBMAIL:
            return _judge_cname(record, [v for v in values if isinstance(v, CNAME)])
        case Purpose.SPF | Purpose.MAIL_FROM_SPF:
            return _judge_spf(record, [said(v) for v in values])
        case Purpose.DMARC:
            return _judge_dmarc(record, [said(v) for v in values])
        case Purpose.IMAP | Purpose.SUBMISSION:
            return _judge_srv(record, [v for v in values if isinstance(v, SRV)])


def missing(record: Record) -> DnsFinding:
    """Return the finding for a name that has no record of this type."""
    return DnsFinding(
        record, DnsVerdict.MISSING, (), f"{_there(record)} is missing.", _make(record)
    )


def from_wildcard(record: Record) -> DnsFinding:
    """Return the finding for a name that does not exist, where a wildcard answers instead."""
    parent = record.name.removeprefix("*.").partition(".")[2]
    problem = (
        f"{_there(record)} is missing: only a wildcard such as *.{parent} answers for that name, "
        "and will not once any record is created there."
    )
    return DnsFinding(record, DnsVerdict.MISSING, (), problem, _make(record), WhyMissing.WILDCARD)


def behind_alias(record: Record, alias: str, found: Iterable[dns.rdata.Rdata]) -> DnsFinding:
    """Return the finding for a name with a CNAME that leads to `found`: no other record is allowed
    beside a CNAME (RFC 1034, section 3.6.2)."""
    leads = f"{record.name} has a CNAME record, which leads to {printable(alias)}"
    at_its_end = check_record(record, found)
    if at_its_end.verdict in {DnsVerdict.SEEN, DnsVerdict.WILL_DO}:
        problem = f"{leads}: what it says there will do. No other record can stand beside it."
        return DnsFinding(record, DnsVerdict.WILL_DO, at_its_end.seen, problem)
    problem = f"{leads}: no {record.type} record can stand beside it."
    seen = shown([f"CNAME {alias}."])
    return DnsFinding(record, DnsVerdict.DIFFERENT, seen, problem, _instead(record))


def by_addresses(record: Record) -> DnsFinding:
    """Return the finding for a name with the addresses of its target: an alias of the DNS host."""
    seen = (f"the addresses of {record.data.rstrip('.')}",)
    return DnsFinding(record, DnsVerdict.SEEN, seen)


def beside(record: Record, kind: str, found: Iterable[dns.rdata.Rdata]) -> DnsFinding:
    """Return the finding for a name with other records, where our CNAME must be the only one."""
    problem = f"{record.name} has a record of type {kind}, beside which no CNAME can stand."
    remedy = _instead(record)
    if kind in {"A", "AAAA"}:
        remedy = f"Where it is a proxied CNAME (Cloudflare), make it DNS only. {remedy}"
    seen = shown(f"{kind} {rdata.to_text()}" for rdata in sorted(found))
    return DnsFinding(record, DnsVerdict.DIFFERENT, seen, problem, remedy)


def _judge_mx(record: Record, found: Sequence[MX]) -> DnsFinding:
    if not found:
        return missing(record)
    ours = record.rdata
    assert isinstance(ours, MX)
    others = [mx for mx in found if mx.exchange != ours.exchange]
    seen = shown(mx.to_text() for mx in found)
    if not others:
        # With only one MX, its preference does not matter.
        return DnsFinding(record, DnsVerdict.SEEN, seen)
    first = others[0].exchange.to_text()
    elsewhere = printable(first.rstrip("."))
    if first == ".":
        problem = f"{_there(record)} says that {record.name} accepts no mail."
    elif _is_doubled(record, ours.exchange.to_text(), first):
        return _doubled_value(record, seen)
    elif region := _SES_REGION.fullmatch(first.lower()):
        own = ours.exchange.to_text().split(".")[1]
        problem = f"{_there(record)} leads to SES in {region[1]}, the stack is in {own}."
    elif len(others) < len(found):
        problem = f"{_there(record)} leads to SES, and to {elsewhere} too: some mail goes there."
    else:
        problem = f"{_there(record)} leads to {elsewhere}, not to SES."
    return DnsFinding(record, DnsVerdict.DIFFERENT, seen, problem, _replace(record))


def _judge_cname(record: Record, found: Sequence[CNAME]) -> DnsFinding:
    if not found:
        return missing(record)
    ours = record.rdata
    assert isinstance(ours, CNAME)
    seen = shown(cname.target.to_text() for cname in found)
    if found[0] == ours:
        return DnsFinding(record, DnsVerdict.SEEN, seen)
    if _is_doubled(record, ours.target.to_text(), found[0].target.to_text()):
        return _doubled_value(record, seen)
    problem = f"{_there(record)} leads to {seen[0].rstrip('.')}, {_ELSEWHERE[record.purpose]}."
    return DnsFinding(record, DnsVerdict.DIFFERENT, seen, problem, _replace(record))


def _judge_spf(record: Record, found: Sequence[str]) -> DnsFinding:
    spf = [text for text in found if _is_version(text, "v=spf1", " ")]
    seen = shown(spf)
    if not spf:
        return _quoted(record, found) or missing(record)
    if len(spf) > 1:
        problem = f"{record.name} has {len(spf)} SPF records, which is an error to receivers."
        remedy = "Merge them into one."
        return DnsFinding(record, DnsVerdict.DIFFERENT, seen, problem, remedy)
    if spf[0] == record.value:
        return DnsFinding(record, DnsVerdict.SEEN, seen)
    if record.purpose is Purpose.SPF:
        problem = f"{record.name} has its own SPF record, which is left as it is: ours is optional."
        return DnsFinding(record, DnsVerdict.WILL_DO, seen, problem)
    if {"include:amazonses.com", "+include:amazonses.com"} & set(spf[0].lower().split()):
        return DnsFinding(record, DnsVerdict.WILL_DO, seen)
    problem = f"The SPF of {record.name} does not include amazonses.com: SES may not send for it."
    remedy = "Add include:amazonses.com to it, before its last term."
    return DnsFinding(record, DnsVerdict.DIFFERENT, seen, problem, remedy)


def _judge_dmarc(record: Record, found: Sequence[str]) -> DnsFinding:
    dmarc = [text for text in found if _is_version(text, "v=DMARC1", ";")]
    seen = shown(dmarc)
    if not dmarc:
        return _quoted(record, found) or missing(record)
    if len(dmarc) > 1:
        problem = f"{record.name} has {len(dmarc)} DMARC records: receivers then ignore them all."
        return DnsFinding(record, DnsVerdict.DIFFERENT, seen, problem, "Keep one of them.")
    if dmarc[0] == record.value:
        return DnsFinding(record, DnsVerdict.SEEN, seen)
    policy = tags(dmarc[0]).get("p", "")
    if policy.lower() not in {"none", "quarantine", "reject"}:
        problem = f"The DMARC record {record.name} names no policy: receivers ignore it."
        return DnsFinding(record, DnsVerdict.DIFFERENT, seen, problem, _replace(record))
    problem = f"{record.domain} has its own DMARC policy, p={policy}, which is left as it is."
    return DnsFinding(record, DnsVerdict.WILL_DO, seen, problem)


def _judge_srv(record: Record, found: Sequence[SRV]) -> DnsFinding:
    if not found:
        return missing(record)
    ours = record.rdata
    assert isinstance(ours, SRV)
    seen = shown(srv.to_text() for srv in found)
    if {(srv.target, srv.port) for srv in found} == {(ours.target, ours.port)}:
        return DnsFinding(record, DnsVerdict.SEEN, seen)
    if _is_doubled(record, ours.target.to_text(), found[0].target.to_text()):
        return _doubled_value(record, seen)
    problem = f"{_there(record)} sends mail clients elsewhere: {', '.join(seen)}."
    return DnsFinding(record, DnsVerdict.DIFFERENT, seen, problem, _replace(record))


def tags(text: str) -> dict[str, str]:
    """Return a DMARC record's tags and values (RFC 7489, section 6.4), the tags in lower case."""
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def shown(values: Iterable[str]) -> tuple[str, ...]:
    """Return the first few values, made safe to show."""
    every = [printable(value) for value in values]
    more = len(every) - _AT_MOST
    return (*every[:_AT_MOST], f"and {more} more") if more > 0 else tuple(every)


def _is_version(text: str, version: str, end: str) -> bool:
    """Whether the text begins with exactly this version tag."""
    first = text.partition(end)[0].rstrip()
    return first.lower() == version.lower()


def _quoted(record: Record, found: Sequence[str]) -> DnsFinding | None:
    """Find a value with extra quotation marks: copied from a zone file into a form that adds its
    own."""
    version = record.value.split()[0].rstrip(";").lower()
    bare = {text: text.strip("\"' ") for text in found}
    wrong = [t for t, inner in bare.items() if t != inner and inner.lower().startswith(version)]
    if not wrong:
        return None
    problem = f"{_there(record)} contains quotation marks or spaces that are not part of the value."
    return DnsFinding(record, DnsVerdict.DIFFERENT, shown(wrong), problem, _replace(record))


def _is_doubled(record: Record, ours: str, found: str) -> bool:
    """Whether the DNS host took an absolute name for a relative one and appended the zone."""
    zones = record.domain.split(".")
    ends = {f"{ours}{'.'.join(zones[n:])}." for n in range(len(zones))}
    return found.lower() in {end.lower() for end in ends}


def _doubled_value(record: Record, seen: tuple[str, ...]) -> DnsFinding:
    problem = f"{_there(record)} leads to a name with the domain added at its end."
    remedy = f"Write the value with a dot at its end: {record.data}"
    return DnsFinding(record, DnsVerdict.DIFFERENT, seen, problem, remedy)


def _there(record: Record) -> str:
    return f"The {record.type} record of {record.name}"


def _make(record: Record) -> str:
    return f"Make it where the DNS is hosted: {record.name} {record.type} {record.data}"


def _instead(record: Record) -> str:
    needed = f"{record.name} {record.type} {record.data}"
    return f"Remove it if nothing needs it, and make: {needed}"


def _replace(record: Record) -> str:
    return f"It should be: {record.name} {record.type} {record.data}"
