"""Which addresses the SMTP user of a mailbox may send from: those that belong to it alone.

The condition `ses:FromAddress` compares the From header as written (IAM User Guide, "String
condition operators"). A complete address is compared without regard to case. Patterns are
case-sensitive, so where one excludes someone else's address, only lower-case letters are allowed.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence

from postamt_sync.bootstrap.policy_document import Document, Statement, document
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.mail.routing import Addressee

_OTHER_SPELLINGS = [f"*{sign}*" for sign in '"( ' + string.ascii_uppercase]
"""Quotes, comments, blanks and capital letters: with them, someone else's address would not match
its pattern."""


def sender_policy(stack: Stack, sender: Addressee) -> Document:
    """Return the policy of one of `senders(stack)`.

    `anna@example.com` allows that address and anna+anything@example.com; a domain allows every
    address in it that is not another mailbox's. A default mailbox without addresses may send from
    the domains that no other mailbox has.
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
    """Return those of `stack.smtp_senders` that have an address to send from."""
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
    """Allow these patterns, except for what an address of `others` covers."""
    kept_out = [pattern for address in others for pattern in _patterns(address)]
    allowed = {"StringLike": list(patterns)}
    return allowed | ({"StringNotLike": [*kept_out, *_OTHER_SPELLINGS]} if kept_out else {})


def _patterns(address: str) -> list[str]:
    """Return the patterns for everything that a configured address covers."""
    return [_wild(address), _tagged(address)] if "@" in address else [_every(address)]


def _tagged(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{_wild(local)}+*@{domain}"


def _every(domain: str) -> str:
    return f"*@*{domain}" if domain.startswith(".") else f"*@{domain}"


def _is_tagged(address: str, of: str) -> bool:
    """Whether an address is `of` with a tag, and so takes precedence over it."""
    local, at, domain = of.rpartition("@")
    return address.startswith(f"{local}+") and address.endswith(f"{at}{domain}")


def _is_nearer(address: str, domain: str) -> bool:
    """Whether an address or domain lies within `domain`, and so takes precedence over it."""
    place = address.rpartition("@")[2]
    if not domain.startswith("."):
        return "@" in address and place == domain
    return place.endswith(domain) and place != domain


def _literal(text: str) -> str:
    """Escape a text so that IAM finds no policy variable in it."""
    return text.replace("${", "${$}{")


def _wild(text: str) -> str:
    """Escape a text so that it stands for itself in a pattern."""
    return "".join(f"${{{sign}}}" if sign in "*?$" else sign for sign in text)
