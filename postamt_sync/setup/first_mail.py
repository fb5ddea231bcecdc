"""The first mail, which waits for the box: put into the bucket the way SES stores mail.

It needs neither DNS nor sending, so the way from the bucket to the Maildir can be tested at once.
"""

from __future__ import annotations

import secrets
import string
import time
from email.message import EmailMessage
from email.utils import formatdate

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import call
from postamt_sync.bootstrap.stack import Stack

SUBJECT = "Your first mail"
_LETTERS = string.ascii_lowercase + string.digits
_TEXT = """\
This mail was put into your bucket by postamt-sync setup. It came home
the way all your mail will: from the bucket, over the ledger, into your
Maildir. You may delete it.
"""


def first_mail(address: str, message_id: str, region: str, now: float) -> bytes:
    """Return the mail to an address; SES's Received field, which comes first, names the
    recipient."""
    mail = EmailMessage()
    domain = address.rpartition("@")[2]
    mail["From"] = f"postamt-sync <postmaster@{domain}>"
    mail["To"] = address
    mail["Subject"] = SUBJECT
    mail["Date"] = formatdate(now)
    mail["Message-ID"] = f"<{message_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_TEXT)
    received = (
        f"Received: from localhost (localhost [127.0.0.1])\r\n by inbound-smtp.{region}."
        f"amazonaws.com with SMTP id {message_id}\r\n for {address};\r\n "
        f"{formatdate(now)} (UTC)\r\n"
    )
    body = mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return received.encode() + body


def new_key(stack: Stack) -> str:
    """Return a random key below the stack's prefix, in the form of SES's."""
    return stack.prefix + "".join(secrets.choice(_LETTERS) for _ in range(40))


def put_first_mail(stack: Stack, aws: AwsClient, key: str, address: str) -> None:
    """Put the mail into the bucket under this key, unless it is there already."""
    there = aws.read(
        *("s3", "head_object"), missing=("404", "NoSuchKey"), Bucket=stack.bucket, Key=key
    )
    if there is not None:
        return
    message_id = key.removeprefix(stack.prefix)
    body = first_mail(address, message_id, stack.region, time.time())
    twin = [f"{stack.recent_prefix}{message_id}"] if stack.recent_prefix else []
    for name in (*twin, key):  # last the one whose existence is checked above
        aws.write(call("s3", "put_object", Bucket=stack.bucket, Key=name, Body=body))
