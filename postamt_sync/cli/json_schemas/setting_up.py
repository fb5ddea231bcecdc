"""What the verbs for setting up print: client, bootstrap plan, cost and dns, seal check; and
errors.
"""

from __future__ import annotations

from postamt_sync.aws.smtp import Tls
from postamt_sync.bootstrap.dns.dns_check import DnsVerdict
from postamt_sync.bootstrap.dns.record import Purpose
from postamt_sync.cli.json_schemas.kinds import (
    count,
    many,
    maybe,
    moment,
    number,
    table,
    text,
    yes_no,
)

_RESOURCE = text("which resource")

PLAN = table(
    "what apply would do",
    {
        "changes": many(
            "what will be done, in this order",
            table(
                "a change",
                {
                    "resource": _RESOURCE,
                    "change": text("what, for people"),
                    "calls": many("the API calls, if they are known in advance", text("its name")),
                },
            ),
        ),
        "conflicts": many(
            "what a person must decide first",
            table(
                "a conflict",
                {"resource": _RESOURCE, "conflict": text("what"), "remedy": text("what to do")},
            ),
        ),
        "notes": many(
            "what else to know",
            table("a note", {"resource": _RESOURCE, "note": text("what")}),
        ),
    },
)

_ITEM = table(
    "an item",
    {
        "service": text("of AWS"),
        "what": text("what is paid for"),
        "quantity": number("a month"),
        "unit": text("of what"),
        "free": number("how much of it is free"),
        "price": number("US dollars"),
        "per": number("for how many units"),
        "verified": yes_no("whether the price was looked up, not estimated"),
        "usd": number("US dollars a month"),
        "note": text('more, or ""'),
    },
)

COST = table(
    "what AWS charges a month, in us-east-1, without tax",
    {
        "usd": number("US dollars in all"),
        "items": many("what it is made of", _ITEM),
        "spared": many("what the present setup saves", _ITEM),
        "once": many("what is charged once, when sealing begins", _ITEM),
    },
)

_SERVER = {
    "host": text("the server's name"),
    "port": count("its TCP port"),
    "tls": text("how the connection is encrypted", of=Tls),
    "user": text('the user name there, "" if it is not known here'),
}

CLIENTS = many(
    "what to type into a mail client, for each mailbox; without passwords",
    table(
        "a mailbox",
        {
            "mailbox": text("as configured"),
            "address": text('the address to send from, "" if it has none'),
            "reading": table("the IMAP server", _SERVER),
            "sending": many("the ways to the SMTP server, the best first", table("a way", _SERVER)),
            "one_password": yes_no("whether sending uses the password for reading"),
        },
    ),
)

DNS_RECORDS = many(
    "the DNS records that mail needs, and which are there",
    table(
        "a record",
        {
            "domain": text("whose"),
            "purpose": text("what it is for", of=Purpose),
            "name": text("its name, without a dot at the end"),
            "type": text("MX, CNAME, TXT or SRV"),
            "ttl": count("seconds for which it may be cached"),
            "value": text("as in a zone file"),
            "optional": yes_no("whether mail works without it"),
            "note": text('what it does, in a sentence, or ""'),
            "now": maybe(text("what is in the DNS", of=DnsVerdict), "not looked up"),
            "seen": many("what is there", text("a value")),
            "problem": text('what is wrong, or ""'),
            "remedy": text('what to do, or ""'),
        },
    ),
)

SEAL_KEYS = table(
    "the owner's keys, for which mail at AWS is encrypted",
    {
        "keys": many(
            "each key",
            table(
                "a key; one that was refused has refused and hint and nothing more",
                {
                    "file": text("its path"),
                    "name": text("the name in the key"),
                    "fingerprint": text("of its primary key"),
                    "encryption": many(
                        "the keys in it that mail is encrypted for",
                        table(
                            "a key or subkey",
                            {
                                "fingerprint": text("its own"),
                                "expires": maybe(moment("when it expires"), "never"),
                            },
                        ),
                    ),
                    "expires": maybe(moment("when it expires"), "never"),
                    "refused": text("why nothing is encrypted for it"),
                    "hint": text("what to do"),
                },
                now_and_then=("name", "fingerprint", "encryption", "expires", "refused", "hint"),
            ),
        )
    },
)

ERROR = table(
    "why there is no answer",
    {
        "error": text("what is wrong"),
        "hint": text('what to do, or ""'),
        "problems": many(
            "each problem of the configuration",
            table(
                "a problem",
                {
                    "key": text("the option"),
                    "wrong": text("what is wrong"),
                    "example": text("a line that would be right"),
                },
            ),
        ),
    },
    now_and_then=("problems", "hint"),
)
