"""Routing: which mailboxes an envelope's addresses lead to, and which folder the verdicts.

Addresses are untrusted. They are only looked up, never made into a path. What cannot be parsed as
an address matches nothing, and so goes to the default mailbox.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from postamt_sync.mail.arrival import Evidence, Verdicts

LONGEST_ADDRESS = 1_000
"""Characters. A longer address is not looked up; RFC 5321 section 4.5.3.1 allows 320 octets."""

REMEMBERED = 256
"""How many addresses are kept with their mailboxes."""

LONGEST_LABEL = 63
"""Octets of one label of a domain name (RFC 1035 section 2.3.4)."""

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_IDEOGRAPHIC_STOP = "\u3002"
"""Separates labels too (RFC 3490 section 3.1). NFKC turns its other forms into it or into a dot."""

OBEYED_POLICIES = frozenset({"quarantine", "reject"})
"""The DMARC policies by which a domain asks that failing mail be refused (RFC 7489 section 6.3)."""

NEVER_BY_TAG = frozenset({"drafts", "sent", "trash"})
"""Folders that a tag, which is chosen by the sender, must not lead to."""

_DEVIATIONS = {"ß": "ß", "ẞ": "ß", "ς": "ς"}
"""Letters that case folding would turn into another domain's (UTS #46 section 2.3)."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """One mailbox as routing sees it: its name, and its addresses in the forms that SES has.

    `user@d` also matches `user+tag@d`; `d` matches every address of the domain; `.d` every address
    of its subdomains at any depth, but not of `d` itself. Domains may be A-labels or U-labels.
    """

    name: str
    addresses: tuple[str, ...]
    default: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The mailboxes that get a mail, at least one, in configuration order, and what decided it.

    `recipients` are the addresses that led there; they are untrusted text.
    """

    mailboxes: tuple[str, ...]
    evidence: Evidence
    recipients: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Found:
    """Where one address leads. `tag` is untrusted text, case folded, "" if there is none."""

    mailbox: str
    tag: str = ""


class Routes:
    """Finds the mailboxes for addresses.

    The most specific form wins: the address itself, then the address without its tag, then the
    domain, then the longest subdomain form. If two mailboxes have the same address, the first wins.

    Raises ValueError unless exactly one mailbox is the default and every address is in one of the
    three forms. The configuration is checked for both before.
    """

    def __init__(self, mailboxes: Iterable[Addressee]) -> None:
        addressees = tuple(mailboxes)
        defaults = [addressee.name for addressee in addressees if addressee.default]
        if len(defaults) != 1:
            raise ValueError(f"{len(defaults)} default mailboxes instead of one")
        self.default = defaults[0]
        self._order = tuple(dict.fromkeys(addressee.name for addressee in addressees))
        self._names: dict[tuple[str, str], str] = {}
        # The mail of one household names the same few addresses over and over.
        self._remembered = lru_cache(REMEMBERED)(self._look_up)
        for addressee in addressees:
            for address in addressee.addresses:
                self._names.setdefault(canonical_form(address), addressee.name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all mailboxes, in configuration order."""
        return self._order

    def mailboxes(self, recipients: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the mailboxes for `recipients`, each once, in configuration order.

        A recipient that matches none of them leads to the default mailbox. Without recipients the
        result is empty.
        """
        found = {self._mailbox(recipient) for recipient in recipients}
        return tuple(name for name in self._order if name in found)

    def addressed(self, recipients: Iterable[str], mailbox: str) -> tuple[str, ...]:
        """Return the `recipients` that lead to this mailbox, unchanged, in order, each once."""
        return tuple(dict.fromkeys(r for r in recipients if self._mailbox(r) == mailbox))

    def tag(self, recipients: Iterable[str], mailbox: str) -> str:
        """Return the one tag with which a mail comes to this mailbox, case folded, else "".

        A tag is what the local part has beyond the configured address: `shop` in
        `anna+shop@example.com`. A mail that also came without it, or with another, has none.
        """
        found = {self._find(r) or Found(self.default) for r in recipients}
        tags = {each.tag for each in found if each.mailbox == mailbox}
        return tags.pop() if len(tags) == 1 else ""

    def ours(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return the `addresses` that match a configured one, unchanged, in their order."""
        return tuple(address for address in addresses if self._find(address) is not None)

    def _mailbox(self, recipient: str) -> str:
        found = self._find(recipient)
        return found.mailbox if found else self.default

    def _find(self, recipient: str) -> Found | None:
        return self._remembered(recipient) if len(recipient) <= LONGEST_ADDRESS else None

    def _look_up(self, recipient: str) -> Found | None:
        parts = _split(recipient)
        if parts is None:
            return None
        whole, domain = parts
        local = whole
        while local:
            if name := self._names.get((local, domain)):
                return Found(name, whole[len(local) + 1 :])
            local = local.rpartition("+")[0]
        tag = whole.partition("+")[2]
        if name := self._names.get(("", domain)):
            return Found(name, tag)
        parent = domain
        while parent:
            parent = parent.partition(".")[2]
            if name := self._names.get(("", f".{parent}")):
                return Found(name, tag)
        return None


def canonical_form(address: str) -> tuple[str, str]:
    """Return (local part, domain) of a configured address so that equal addresses compare equal.

    The local part is empty for the forms `d` and `.d`; the domain of `.d` begins with the dot.
    Raises ValueError if the address has none of the three forms.
    """
    parts = _split(address) if "@" in address else _domain_form(address)
    if parts is None:
        raise ValueError("not an address, a domain, or a dot followed by a domain")
    return parts


def decide(
    routes: Routes,
    *,
    receipt: Iterable[str],
    received: str | None,
    header_addresses: Iterable[str],
    grace_over: bool,
) -> Decision | None:
    """Decide who gets a mail by what is known of its envelope; None: wait for the envelope.

    `receipt` holds the recipients of all receipts so far, `received` the one in SES's own Received.
    Both count at once. `header_addresses` (To and Cc, written by the sender) count only without
    either of them, and once the grace is over. As more of the envelope becomes known, a later call
    can add mailboxes and never takes one away.
    """
    envelope = tuple(receipt)
    evidence = Evidence.RECEIPT if envelope else Evidence.RECEIVED
    if received:
        envelope = (*envelope, received)
    if envelope:
        return Decision(routes.mailboxes(envelope), evidence, envelope)
    if not grace_over:
        return None
    if ours := routes.ours(header_addresses):
        return Decision(routes.mailboxes(ours), Evidence.HEADERS, ours)
    return Decision((routes.default,), Evidence.DEFAULT)


def merge_verdicts(receipt: Verdicts | None, headers: Verdicts | None) -> Verdicts:
    """Return each verdict from the receipt or, if it has none, from SES's own headers."""
    if receipt is None or headers is None:
        return receipt or headers or Verdicts()
    return Verdicts(
        receipt.spam or headers.spam,
        receipt.virus or headers.virus,
        receipt.spf or headers.spf,
        receipt.dkim or headers.dkim,
        receipt.dmarc or headers.dmarc,
        receipt.dmarc_policy or headers.dmarc_policy,
    )


@dataclass(frozen=True, slots=True)
class VerdictFolders:
    """The folders for mail that SES's verdicts speak against; "" is the INBOX."""

    junk: str = "Junk"
    virus: str = "Quarantine"
    dmarc: str = "Junk"

    def of(self, verdicts: Verdicts) -> str:
        """Return the folder for a mail with these verdicts.

        A virus outweighs spam, and both outweigh DMARC. A failed DMARC counts only if the domain's
        policy is quarantine or reject.
        """
        if verdicts.virus == "FAIL":
            return self.virus
        if verdicts.spam == "FAIL":
            return self.junk
        if verdicts.dmarc == "FAIL" and verdicts.dmarc_policy in OBEYED_POLICIES:
            return self.dmarc
        return ""


def folder_of_tag(tag: str) -> str:
    """Return the folder that a tag means, its levels separated by `/`; "" if it means none.

    It is untrusted text, to be compared with folders that exist, never to be made into a path.
    """
    folder = tag.replace(".", "/")
    return "" if folder in NEVER_BY_TAG else folder


def caseless(text: str) -> str:
    """Return `text` so that texts which differ only in case compare equal (Unicode, D145)."""
    folded = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFC", folded)


def _split(address: str) -> tuple[str, str] | None:
    """Return local part and domain in the form in which they are compared."""
    if len(address) > LONGEST_ADDRESS:
        return None
    path = address.strip()
    if path.startswith("<") and path.endswith(">"):
        path = path[1:-1]
    if path.startswith("@"):
        # A source route (@one,@two:user@domain) is ignored, see RFC 5321 section 4.1.1.3.
        path = path.partition(":")[2]
    local, _, domain = path.rpartition("@")
    domain = _domain(domain)
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        # Quotes that are not needed mean nothing (RFC 5321 section 4.1.2).
        local = _QUOTED_PAIR.sub(r"\1", local[1:-1])
    elif "@" in local:
        return None
    if not local or not domain or domain.startswith("."):
        return None
    return caseless(local), domain


def _domain_form(address: str) -> tuple[str, str] | None:
    if len(address) > LONGEST_ADDRESS:
        return None
    domain = _domain(address.strip())
    return ("", domain) if domain.strip(".") else None


def _domain(domain: str) -> str:
    """Return `domain` in lower case, with A-labels, without the dot of the root.

    The standard library's codec `idna` is IDNA2003 and turns ß into ss, which is another domain
    today. So labels are mapped almost as in UTS #46 (compatibility forms, case; ß and final sigma
    stay) and encoded with Punycode (RFC 5891 section 4.4). Labels are not validated: they are only
    compared with configured ones, which are valid.
    """
    if not domain.isascii():
        mapped = "".join(_DEVIATIONS.get(c) or c.casefold() for c in _nfkc(domain))
        labels = _nfkc(mapped).replace(_IDEOGRAPHIC_STOP, ".").split(".")
        domain = ".".join(_a_label(label) for label in labels)
    return domain.lower().removesuffix(".")


def _nfkc(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _a_label(label: str) -> str:
    if label.isascii() or len(label) > LONGEST_LABEL:
        return label
    return "xn--" + label.encode("punycode").decode("ascii")
