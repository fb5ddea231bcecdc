"""Whose mail it is: from the envelope's addresses to mailboxes, and from verdicts to a folder.

Addresses come from outside. They are only ever looked up, never made into a path; what cannot be
read as an address matches nothing and so goes to the default mailbox.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from postamt_sync.mail.arrival import Evidence, Verdicts

LONGEST_ADDRESS = 1_000
"""Characters of an address that is looked up at all; RFC 5321 section 4.5.3.1 allows 320 octets."""

REMEMBERED = 256
"""Addresses whose mailbox need not be looked up again."""

LONGEST_LABEL = 63
"""Characters of one part of a domain name (RFC 1035 section 2.3.4)."""

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_IDEOGRAPHIC_STOP = "\u3002"
"""Separates labels too (RFC 3490 section 3.1); NFKC makes its other forms into it or into a dot."""

OBEYED_POLICIES = frozenset({"quarantine", "reject"})
"""What a sender's domain may ask for where DMARC fails, and means it (RFC 7489 section 6.3)."""

NEVER_BY_TAG = frozenset({"drafts", "sent", "trash"})
"""Folders in which no mail from outside may land because its sender says so."""

_DEVIATIONS = {"ß": "ß", "ẞ": "ß", "ς": "ς"}
"""Letters whose case folding would make another domain of it (UTS #46 section 2.3)."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """One mailbox as routing sees it: its name and its addresses in SES's forms.

    `user@d` also takes `user+tag@d`; `d` is every address of the domain; `.d` every address of its
    subdomains, at any depth, but not of `d` itself. Domains may be A-labels or U-labels.
    """

    name: str
    addresses: tuple[str, ...]
    default: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The mailboxes of one mail, at least one, in configuration order, and what decided it.

    `recipients` are the addresses that led to them, foreign text.
    """

    mailboxes: tuple[str, ...]
    evidence: Evidence
    recipients: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Found:
    """Where one address leads. `tag` is foreign text, caseless, "" where there is none."""

    mailbox: str
    tag: str = ""


class Routes:
    """Finds the mailboxes for addresses. The most specific form wins: the address itself, then the
    address without its tag, then the domain, then the longest subdomain form.

    Raises ValueError unless exactly one mailbox is the default, and for an address that is none:
    the configuration has refused both before. Of two mailboxes with one address the first wins.
    """

    def __init__(self, mailboxes: Iterable[Addressee]) -> None:
        addressees = tuple(mailboxes)
        defaults = [addressee.name for addressee in addressees if addressee.default]
        if len(defaults) != 1:
            raise ValueError(f"{len(defaults)} default mailboxes instead of one")
        self.default = defaults[0]
        self._order = tuple(dict.fromkeys(addressee.name for addressee in addressees))
        self._names: dict[tuple[str, str], str] = {}
        # A household's mail names the same few addresses again and again.
        self._remembered = lru_cache(REMEMBERED)(self._look_up)
        for addressee in addressees:
            for address in addressee.addresses:
                self._names.setdefault(canonical_form(address), addressee.name)

    @property
    def names(self) -> tuple[str, ...]:
        """Every mailbox's name, in configuration order."""
        return self._order

    def mailboxes(self, recipients: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the mailboxes for `recipients`, each once, in configuration order.

        A recipient that matches none is the default mailbox's. No recipients: no mailboxes.
        """
        found = {self._mailbox(recipient) for recipient in recipients}
        return tuple(name for name in self._order if name in found)

    def addressed(self, recipients: Iterable[str], mailbox: str) -> tuple[str, ...]:
        """Return those of `recipients` that lead to this mailbox, as they are, each once."""
        return tuple(dict.fromkeys(r for r in recipients if self._mailbox(r) == mailbox))

    def tag(self, recipients: Iterable[str], mailbox: str) -> str:
        """Return the one tag under which a mail comes to this mailbox, caseless, else "".

        A tag is what stands in the local part behind the address that is configured: `shop` in
        `anna+shop@example.com`. There is none where the mail also came without, or under another.
        """
        found = {self._find(r) or Found(self.default) for r in recipients}
        tags = {each.tag for each in found if each.mailbox == mailbox}
        return tags.pop() if len(tags) == 1 else ""

    def ours(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return those of `addresses` that match a configured one, as they are, in their order."""
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
    """Return (local part, domain) of a configured address such that equal addresses compare equal.

    The local part is empty for the forms `d` and `.d`; the latter's domain begins with the dot.
    Raises ValueError if it is none of the three forms.
    """
    parts = _split(address) if "@" in address else _domain_form(address)
    if parts is None:
        raise ValueError("not an address, a domain or a dot and a domain")
    return parts


def decide(
    routes: Routes,
    *,
    receipt: Iterable[str],
    received: str | None,
    header_addresses: Iterable[str],
    grace_over: bool,
) -> Decision | None:
    """Decide who gets a mail from what is known of its envelope; None: wait for the envelope.

    `receipt` are the recipients of all receipts so far, `received` the one in SES's own Received.
    What either names counts at once. `header_addresses` (To and Cc, the sender's words) count only
    with neither and once the grace is over. A later call may name more mailboxes, never fewer as
    long as it is given no less envelope.
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
    """Return, verdict by verdict, the receipt's, or where it has none that of SES's own headers."""
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
    """Where mail goes by SES's verdicts; "" is the INBOX."""

    junk: str = "Junk"
    virus: str = "Quarantine"
    dmarc: str = "Junk"

    def of(self, verdicts: Verdicts) -> str:
        """Return the folder for a mail with these verdicts.

        A virus outweighs spam, and both outweigh DMARC. A failed DMARC counts only where the
        sender's domain asks for quarantine or reject.
        """
        if verdicts.virus == "FAIL":
            return self.virus
        if verdicts.spam == "FAIL":
            return self.junk
        if verdicts.dmarc == "FAIL" and verdicts.dmarc_policy in OBEYED_POLICIES:
            return self.dmarc
        return ""


def folder_of_tag(tag: str) -> str:
    """Return which folder a tag means, caseless, levels separated by `/`; "" is none.

    Foreign text: to be compared with folders that exist, and never to be made into a path.
    """
    folder = tag.replace(".", "/")
    return "" if folder in NEVER_BY_TAG else folder


def caseless(text: str) -> str:
    """Return `text` such that what differs in case alone compares equal (Unicode, D145)."""
    folded = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFC", folded)


def _split(address: str) -> tuple[str, str] | None:
    """Return the local part and the domain in the form in which they are compared."""
    if len(address) > LONGEST_ADDRESS:
        return None
    path = address.strip()
    if path.startswith("<") and path.endswith(">"):
        path = path[1:-1]
    if path.startswith("@"):
        # A source route, to be ignored (RFC 5321 section 4.1.1.3): @one,@two:user@domain
        path = path.partition(":")[2]
    local, _, domain = path.rpartition("@")
    domain = _domain(domain)
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        # Quotes mean nothing where they are not needed (RFC 5321 section 4.1.2).
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
    """Return `domain` in lower case, with A-labels, without the root's dot.

    The codec `idna` of the standard library is IDNA2003 and turns ß into ss: another domain today.
    So labels are mapped nearly as UTS #46 does (compatibility forms, case; ß and final sigma stay)
    and encoded with Punycode (RFC 5891 section 4.4). Whether a label is allowed is not asked: it is
    only compared with configured ones, which are.
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
