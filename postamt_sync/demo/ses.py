"""Acts as SES receiving mail: what it prepends, stores, and publishes.

The header block has SES's form: folded with one space, one recipient in `for` without angle
brackets, CRLF line ends. The receipt is that of an S3 action with a topic.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import email.policy
import json
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.parser import BytesHeaderParser
from email.utils import format_datetime
from typing import Any

from postamt_sync.demo.cloud import REGION, Cloud

ALPHABET = "0123456789abcdefghijklmnopqrstuv"
"""base32hex, as in the message IDs of SES."""

RECEIPT_SUBJECT = "Amazon SES Email Receipt Notification"


@dataclass(frozen=True, slots=True)
class Received:
    """A mail that SES accepted; `content` is the stored object, byte for byte."""

    message_id: str
    key: str
    content: bytes
    at: float
    """Seconds since 1970, as in SES's Received header; whole seconds."""
    sender: str
    recipients: tuple[str, ...]


class Ses:
    """Receives mail for one cloud; the IDs follow from the seed, so that a run can be repeated."""

    def __init__(self, cloud: Cloud, seed: int | None = None) -> None:
        self._cloud = cloud
        start = secrets.randbits(64) if seed is None else seed
        self._random = random.Random(start)  # noqa: S311

    async def receive(  # noqa: PLR0913 - each is one thing that can happen to a mail
        self,
        message: bytes,
        sender: str,
        recipients: Sequence[str],
        *,
        spam: str = "PASS",
        virus: str = "PASS",
        lose_webhook: bool = False,
        lose_notifications: bool = False,
        lose_receipt: bool = False,
        times: int = 1,
    ) -> Received:
        """Accept one mail, as at the end of DATA; it is stored and published on return.

        `sender` is that of the envelope (empty for a bounce), `recipients` those of RCPT TO. The
        active receipt rules decide what happens to it. `lose_webhook`: no HTTP endpoint is
        notified (queues are). `lose_notifications`: nobody is. `lose_receipt`: only S3 publishes,
        SES does not. `times`: how often each notification is sent.
        """
        message_id = "".join(self._random.choices(ALPHABET, k=40))
        now = dt.datetime.now(dt.UTC)
        block = ses_header(message_id, sender, recipients[0], now, spam=spam, virus=virus)
        taken = Received(
            message_id=message_id,
            key=self._cloud.stack.prefix + message_id,
            content=block + message,
            at=float(int(now.timestamp())),
            sender=sender,
            recipients=tuple(recipients),
        )
        mishaps = self._cloud.sns.mishaps
        if lose_webhook or lose_notifications:
            mishaps.lose(message_id, for_queues=lose_notifications)
        if times > 1:
            mishaps.repeat(message_id, times)
        await asyncio.to_thread(self._apply_rules, taken, now, spam, virus, lose_receipt)
        return taken

    def _apply_rules(
        self, taken: Received, now: dt.datetime, spam: str, virus: str, lose_receipt: bool
    ) -> None:
        """Apply the rules of the active rule set and their actions, in order."""
        answer = self._cloud.ses_client.describe_active_receipt_rule_set()
        for rule in answer.get("Rules", []):
            matched = [r for r in taken.recipients if _matches(r, rule.get("Recipients", []))]
            if not rule.get("Enabled") or not matched:
                continue
            for action in rule.get("Actions", []):
                s3 = action.get("S3Action")
                if s3 is None:
                    continue
                key = s3.get("ObjectKeyPrefix", "") + taken.message_id
                self._cloud.s3_client.put_object(
                    Bucket=s3["BucketName"], Key=key, Body=taken.content
                )
                topic = s3.get("TopicArn")
                if topic and not lose_receipt:
                    done = {
                        "type": "S3",
                        "topicArn": topic,
                        "bucketName": s3["BucketName"],
                        "objectKeyPrefix": s3.get("ObjectKeyPrefix", ""),
                        "objectKey": key,
                    }
                    receipt = self._receipt(taken, matched, now, spam, virus, done)
                    self._cloud.sns_client.publish(
                        TopicArn=topic,
                        Subject=RECEIPT_SUBJECT,
                        Message=json.dumps(receipt, separators=(",", ":")),
                    )

    @staticmethod
    def _receipt(
        taken: Received,
        matched: Sequence[str],
        now: dt.datetime,
        spam: str,
        virus: str,
        action: dict[str, str],
    ) -> dict[str, Any]:
        stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        passed = {"status": "PASS"}
        return {
            "notificationType": "Received",
            "mail": {
                "timestamp": stamp,
                "source": taken.sender,
                "messageId": taken.message_id,
                **_header_facts(taken.content),
            },
            "receipt": {
                "timestamp": stamp,
                "processingTimeMillis": 300,
                "recipients": list(matched),
                "spamVerdict": {"status": spam},
                "virusVerdict": {"status": virus},
                "spfVerdict": passed,
                "dkimVerdict": passed,
                "dmarcVerdict": passed,
                "action": action,
            },
        }


def _matches(recipient: str, conditions: Sequence[str]) -> bool:
    """Tell whether a rule matches a recipient (SES Developer Guide, "Recipient conditions")."""
    local, _, domain = recipient.lower().rpartition("@")
    plain = f"{local.partition('+')[0]}@{domain}"
    return not conditions or any(
        domain.endswith(condition)
        if condition.startswith(".")
        else condition in (domain, plain, f"{local}@{domain}")
        for condition in map(str.lower, conditions)
    )


def ses_header(
    message_id: str, sender: str, recipient: str, at: dt.datetime, *, spam: str, virus: str
) -> bytes:
    """Return what SES prepends to the sender's headers; `recipient` is the one in `for`."""
    host, client = "mail.sender.example", "192.0.2.10"
    domain = sender.rpartition("@")[2] or host
    date = format_datetime(at)
    seal = base64.b64encode(message_id.encode() * 4).decode()
    spf = f"client-ip={client}; envelope-from={sender}; helo={host};"
    passed = f"(spfCheck: domain of {domain} designates {client} as permitted sender)"
    signed = "From:To:Cc:Bcc:Subject:Date:Message-ID:MIME-Version:Content-Type:X-SES-RECEIPT"
    lines = (
        f"Return-Path: <{sender}>",
        f"Received: from {host} ({host} [{client}])",
        f" by inbound-smtp.{REGION}.amazonaws.com with SMTP id {message_id}",
        f" for {recipient};",
        f" {date} (UTC)",
        f"X-SES-Spam-Verdict: {spam}",
        f"X-SES-Virus-Verdict: {virus}",
        f"Received-SPF: pass {passed} {spf}",
        "Authentication-Results: amazonses.com;",
        f" spf=pass {passed} {spf}",
        f" dkim=pass header.i=@{domain};",
        f" dmarc=pass header.from={domain};",
        f"X-SES-RECEIPT: {seal}",
        (
            f"X-SES-DKIM-SIGNATURE: a=rsa-sha256; q=dns/txt; b={seal[:88]}; c=relaxed/simple; "
            f"s=demo; d=amazonses.com; t={int(at.timestamp())}; v=1; bh={seal[:44]}; h={signed};"
        ),
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


def _header_facts(content: bytes) -> dict[str, Any]:
    """Return `destination`, `headers` and `commonHeaders`; SES takes them from the MIME headers."""
    head = BytesHeaderParser(policy=email.policy.default).parsebytes(content)

    def addresses(name: str) -> list[str]:
        found: Sequence[Address] = getattr(head[name], "addresses", ())
        return [str(address) for address in found]

    common: dict[str, Any] = {"returnPath": str(head["Return-Path"] or "").strip("<>")}
    for name, key in (("From", "from"), ("To", "to"), ("Cc", "cc"), ("Reply-To", "replyTo")):
        if listed := addresses(name):
            common[key] = listed
    for name, key in (("Date", "date"), ("Message-ID", "messageId"), ("Subject", "subject")):
        if head[name] is not None:
            common[key] = str(head[name])
    every: list[Address] = []
    for name in ("To", "Cc"):
        every += getattr(head[name], "addresses", ())
    return {
        "destination": [address.addr_spec for address in every],
        "headersTruncated": False,
        "headers": [{"name": name, "value": str(value)} for name, value in head.items()],
        "commonHeaders": common,
    }
