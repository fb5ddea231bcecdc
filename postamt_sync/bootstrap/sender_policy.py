"""What the SMTP user of one mailbox may send from: the addresses that are this mailbox's alone.

The condition `ses:FromAddress` looks at the From header as it is written (IAM User Guide, "String
condition operators"). A whole address may be written in capital letters too. Where a pattern keeps
someone else's address out of a domain, only small letters are taken: patterns mind case.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence

from postamt_sync.bootstrap.policy_document import Document, Statement, document
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.mail.routing import Addressee

_OTHER_SPELLINGS = [f"*{sign}*" for sign in '"( ' + string.ascii_uppercase]
"""In quotes, with a comment, a blank or capital letters an address of someone else would look
like none of theirs."""


def sender_policy(stack: Stack, sender: Addressee) -> Document:
    """Return the policy of one of `senders(stack)`.

    `anna@example.com` lets it send from that address and from anna+anything@example.com, a whole
    domain from every address there that is not another mailbox's. A default mailbox without
    addresses sends from what is left of the stack's domains.
    """
    own, others = _own(stack, sender), _others(stack, sender)
    whole = [address for address in own if "@" in address]
    domains = [address for address in own if "@" not in address]
    statements = []
    if whole:
        exact = {"StringEqualsIgnoreCase": [_literal(address) for address in whole]}
        statements.append(_statement(stack, "Addresses", exact))
        longer = [o for o in others if any(_is_tagged(o, address) for address in whole)]
        tags = _like(map(_tagged, whole), longer)
        statements.append(_statement(stack, "Tags", tags))
    if domains:
        nearer = [o for o in others if any(_is_nearer(o, domain) for domain in domains)]
        statements.append(_statement(stack, "Domains", _like(map(_every, domains), nearer)))
    return document(*statements)


def senders(stack: Stack) -> tuple[Addressee, ...]:
    """Return those of `stack.smtp_senders` who have an address to send from."""
    return tuple(sender for sender in stack.smtp_senders if _own(stack, sender))


def _own(stack: Stack, sender: Addressee) -> list[str]:
    if sender.addresses or not sender.default:
        return [address.lower() for address in sender.addresses]
    others = _others(stack, sender)
    return [domain for domain in stack.domains if domain not in others]


def _others(stack: Stack, sender: Addressee) -> list[str]:
    return [
        address.lower()
        for other in stack.smtp_senders
        if other.name != sender.name
        for address in other.addresses
    ]


def _statement(stack: Stack, sid: str, condition: Mapping[str, Sequence[str]]) -> Statement:
    return {
        "Sid": f"Send{sid}",
        "Effect": "Allow",
        "Action": "ses:SendRawEmail",
        "Resource": [stack.identity_arn("*"), stack.configuration_set_arn("*")],
        "Condition": {
            operator: {"ses:FromAddress": list(values)} for operator, values in condition.items()
        },
    }


def _like(patterns: Iterable[str], others: Iterable[str]) -> dict[str, list[str]]:
    """Let all of these patterns in but what is meant by an address of `others`."""
    kept_out = [pattern for address in others for pattern in _patterns(address)]
    allowed = {"StringLike": list(patterns)}
    return allowed | ({"StringNotLike": [*kept_out, *_OTHER_SPELLINGS]} if kept_out else {})


def _patterns(address: str) -> list[str]:
    """Return all that is meant by a configured address."""
    return [_wild(address), _tagged(address)] if "@" in address else [_every(address)]


def _tagged(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{_wild(local)}+*@{domain}"


def _every(domain: str) -> str:
    return f"*@*{domain}" if domain.startswith(".") else f"*@{domain}"


def _is_tagged(address: str, of: str) -> bool:
    """Tell whether an address is another one with a tag, and so goes before it."""
    local, at, domain = of.rpartition("@")
    return address.startswith(f"{local}+") and address.endswith(f"{at}{domain}")


def _is_nearer(address: str, domain: str) -> bool:
    """Tell whether an address, or a domain, lies within a domain's form and goes before it."""
    place = address.rpartition("@")[2]
    if not domain.startswith("."):
        return "@" in address and place == domain
    return place.endswith(domain) and place != domain


def _literal(text: str) -> str:
    """Write a text such that IAM finds no variable in it."""
    return text.replace("${", "${$}{")


def _wild(text: str) -> str:
    """Write a text such that a pattern means just this."""
    return "".join(f"${{{sign}}}" if sign in "*?$" else sign for sign in text)
