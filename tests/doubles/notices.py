"""What SES and S3 publish of one mail, and the mail as SES stores it; from AWS's descriptions."""

from __future__ import annotations

import json
from typing import Any

BUCKET = "mail"
PREFIX = "incoming/"
MESSAGE_ID = "4k1s0vq2m8d7c6b5a4938271605fedcba9876543"
AT = "2026-11-02T10:11:12.345Z"
EVENT_AT = "2026-11-02T10:11:13.100Z"
ETAG = "0123456789abcdef0123456789abcdef"

HEADERS = {
    "From": "=?utf-8?q?J=C3=BCrgen?= <juergen@sender.example>",
    "To": "list@other.example",
    "Cc": "cc@other.example",
    "Subject": "Guten =?iso-8859-1?q?Tag=2C_K=F6ln?=",
    "Date": "Mon, 2 Nov 2026 11:11:10 +0100",
}


def receipt(
    name: str = MESSAGE_ID,
    recipients: tuple[str, ...] = ("anna@home.example", "bruno@home.example"),
    headers: dict[str, str] | None = None,
    *,
    cut: bool = False,
    bucket: str = BUCKET,
    prefix: str = PREFIX,
) -> str:
    """The receipt of a mail; `cut`: SES left the last headers out."""
    shown = [{"name": n, "value": v} for n, v in (HEADERS if headers is None else headers).items()]
    passed = {"status": "PASS"}
    return json.dumps(
        {
            "notificationType": "Received",
            "mail": {
                "timestamp": AT,
                "source": "bounce+abc@sender.example",
                "messageId": name,
                "destination": ["list@other.example"],
                "headersTruncated": cut,
                "headers": shown[:2] if cut else shown,
                "commonHeaders": {"returnPath": "bounce+abc@sender.example"},
            },
            "receipt": {
                "timestamp": AT,
                "processingTimeMillis": 512,
                "recipients": list(recipients),
                "spamVerdict": passed,
                "virusVerdict": passed,
                "spfVerdict": {"status": "GRAY"},
                "dkimVerdict": passed,
                "dmarcVerdict": {"status": "FAIL"},
                "dmarcPolicy": "quarantine",
                "action": {
                    "type": "S3",
                    "topicArn": "arn:aws:sns:eu-west-1:123456789012:postamt",
                    "bucketName": bucket,
                    "objectKeyPrefix": prefix,
                    "objectKey": prefix + name,
                },
            },
        }
    )


def event(
    key: str = PREFIX + MESSAGE_ID,
    etag: str = ETAG,
    size: int = 1234,
    sequencer: str = "0055AED6DCD90281E5",
    bucket: str = BUCKET,
) -> str:
    """The event of an object created; `key` as S3 encodes it."""
    return json.dumps({"Records": [record(key, etag, size, sequencer, bucket)]})


def record(key: str, etag: str, size: int, sequencer: str, bucket: str = BUCKET) -> dict[str, Any]:
    return {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": EVENT_AT,
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": size, "eTag": etag, "sequencer": sequencer},
        },
    }


def stored(
    name: str = MESSAGE_ID,
    headers: dict[str, str] | None = None,
    recipient: str = "anna@home.example",
    ballast: int = 0,
) -> bytes:
    """The mail as SES stores it; `ballast`: bytes of headers before those of HEADERS."""
    lines = [
        "Return-Path: <bounce+abc@sender.example>",
        "Received: from mail.sender.example (mail.sender.example [192.0.2.10])",
        f" by inbound-smtp.eu-west-1.amazonaws.com with SMTP id {name}",
        f" for {recipient};",
        " Mon, 02 Nov 2026 10:11:12 +0000 (UTC)",
        "X-SES-Spam-Verdict: PASS",
        "X-SES-Virus-Verdict: PASS",
        "Received-SPF: neutral (spfCheck: no idea) client-ip=192.0.2.10;",
        "Authentication-Results: amazonses.com;",
        " dkim=pass header.i=@sender.example;",
        "X-SES-RECEIPT: AAAA",
        "X-SES-DKIM-SIGNATURE: a=rsa-sha256; h=From:To;",
    ]
    lines += [f"X-Ballast: {'x' * 70}"] * (ballast // 83)
    lines += [f"{n}: {v}" for n, v in (HEADERS if headers is None else headers).items()]
    return "\r\n".join([*lines, "", "the body"]).encode()


def from_sns(message: str) -> dict[str, Any]:
    """What SNS hands to Lambda (Lambda developer guide, "Amazon SNS")."""
    topic = "arn:aws:sns:eu-west-1:123456789012:postamt"
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": f"{topic}:21be56ed-a058-49f5-8c98-aedd2564c486",
                "Sns": {
                    "Type": "Notification",
                    "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
                    "TopicArn": topic,
                    "Subject": "Amazon S3 Notification",
                    "Message": message,
                    "Timestamp": "2026-11-02T10:11:13.200Z",
                    "SignatureVersion": "2",
                    "Signature": "AAAA",
                    "SigningCertUrl": "https://sns.eu-west-1.amazonaws.com/x.pem",
                    "UnsubscribeUrl": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
                    "MessageAttributes": {},
                },
            }
        ]
    }
