"""From a configuration to its stack, in the account that the credentials belong to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from botocore.config import Config

from postamt_sync import atomic_file
from postamt_sync.aws.clients import A_PERSON_ANSWERS, BUILDING, new_session
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.key_file import small_text
from postamt_sync.bootstrap.resources.queue import MISSING
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from postamt_sync.config import Settings
from postamt_sync.config.verdict_folders import verdict_folders
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.routing import Addressee
from postamt_sync.owners_rights import make_directories, on_the_way_to


def queue_urls_to_be(stack: Stack, aws: AwsClient) -> dict[str, str]:
    """Return the URLs that the stack's queues have or will have, without asking AWS."""
    queues = (stack.queue, stack.dead_letter_queue)
    return {queue: aws.queue_url(stack, queue) for queue in queues}


def queue_urls(stack: Stack, aws: AwsClient) -> dict[str, str]:
    """Return the URLs of the stack's queues: AWS's own for those that exist already."""
    urls = queue_urls_to_be(stack, aws)
    for queue in urls:
        answer = aws.read("sqs", "get_queue_url", missing=MISSING, QueueName=queue)
        if answer is not None:
            urls[queue] = str(answer["QueueUrl"])
    return urls


def open_stack(settings: Settings, config: Config = BUILDING) -> tuple[Stack, AwsClient]:
    """Return the stack and a client for its account.

    Raises MisconfiguredError if there are no usable credentials.
    """
    region = settings.aws.region
    session = new_session(region, program_seconds=A_PERSON_ANSWERS)
    aws = AwsClient(session, region, config=config)
    return stack_of(settings, aws.account), aws


def stack_of(settings: Settings, account: str) -> Stack:
    """Return the stack that the configuration asks for, in this account."""
    wanted = settings.stack
    every = [address for mailbox in settings.mailboxes for address in mailbox.addresses]
    return Stack(
        name=wanted.name,
        account=account,
        region=settings.aws.region,
        bucket=settings.bucket.name,
        domains=wanted.domains,
        prefix=settings.bucket.prefix,
        recent_prefix=settings.bucket.recent_prefix,
        tls_policy=wanted.tls_policy,
        mail_from=wanted.mail_from,
        bounce_notices=wanted.bounce_notices,
        dmarc_policy=wanted.dmarc_policy,
        restore=wanted.restore,
        kms=settings.bucket.kms,
        public_url=settings.webhook.public_url if settings.webhook else "",
        smtp_senders=_addressees(settings) if wanted.smtp_per_mailbox else (),
        subdomains=tuple(domain for domain in wanted.domains if f".{domain}" in every),
        handed=handed_routes(settings),
        webmail=webmail_of(settings, account) if settings.webmail.enabled else None,
        sealed_prefix=settings.bucket.sealed_prefix,
        seal=seal_of(settings, account) if settings.seal.enabled else None,
    )


def seal_of(settings: Settings, account: str) -> SealStack:
    """Return the sealing part of the stack, whether it is enabled now or was earlier."""
    return SealStack(
        settings.stack.name,
        account,
        settings.aws.region,
        settings.bucket.name,
        settings.bucket.prefix,
        settings.bucket.sealed_prefix,
        settings.seal_keys,
        settings.seal.after,
        settings.seal.undo,
        strip=settings.seal.index == "strip",
        kms=settings.bucket.kms,
    )


def webmail_of(settings: Settings, account: str) -> WebmailStack:
    """Return the webmail part of the stack, whether it is enabled now or was earlier."""
    return WebmailStack(
        name=settings.stack.name,
        account=account,
        region=settings.aws.region,
        host=settings.webmail.host,
        mail_bucket=settings.bucket.name,
        domains=settings.stack.domains,
        prefix=settings.bucket.prefix,
        recent_prefix=settings.bucket.recent_prefix,
        kms=settings.bucket.kms,
        sealed_prefix=settings.bucket.sealed_prefix,
    )


def handed_routes(settings: Settings) -> HandedRoutes:
    """Return who gets which mail, by the same rules as in the daemon."""
    return HandedRoutes(_addressees(settings), verdict_folders(settings.delivery))


def _addressees(settings: Settings) -> tuple[Addressee, ...]:
    return tuple(Addressee(m.name, m.addresses, m.default) for m in settings.mailboxes)


def remembered_out(stack: Stack, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the directory last given with --out for this stack; None if it no longer exists."""
    try:
        path = Path(small_text(_out_file(stack, environ)).removesuffix("\n"))
    except (OSError, ValueError):
        return None
    return path if path.is_absolute() and path.is_dir() else None


def remember_out(stack: Stack, out: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Note the directory for this user's next run. Failing to is no error: the next run then needs
    --out again."""
    path = _out_file(stack, environ)
    with contextlib.suppress(OSError):
        make_directories(path.parent)
        with on_the_way_to(path.parent):
            atomic_file.write(path, f"{out}\n")


def _out_file(stack: Stack, environ: Mapping[str, str]) -> Path:
    usual = key_directory(stack, environ)
    return usual.with_name(f"{usual.name}.out")


def key_directory(stack: Stack, environ: Mapping[str, str] = os.environ) -> Path:
    """Return where credentials are kept unless --out says otherwise; always the same directory."""
    home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "postamt-sync" / f"{stack.name}-{stack.account}-{stack.region}"
