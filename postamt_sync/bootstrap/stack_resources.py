"""The resources of a stack, in order of creation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from postamt_sync.aws.function_zip import index_zip
from postamt_sync.aws.regions import WITHOUT_SMTP
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.key_file import (
    SYNC_CREDENTIALS,
    KeyFile,
    SmtpKeyFile,
    SyncKeyFile,
    smtp_credentials,
)
from postamt_sync.bootstrap.key_place import NO_HINTS, KeyHints, KeyPlace
from postamt_sync.bootstrap.plan import Resource
from postamt_sync.bootstrap.policies import index_policy, smtp_policy, sync_policy
from postamt_sync.bootstrap.policy_document import Document
from postamt_sync.bootstrap.resources.access_key import AccessKeyResource
from postamt_sync.bootstrap.resources.bucket import BucketResource
from postamt_sync.bootstrap.resources.bucket_events import BucketEventsResource
from postamt_sync.bootstrap.resources.former_users import FormerUsersResource
from postamt_sync.bootstrap.resources.function import FunctionResource
from postamt_sync.bootstrap.resources.identity import IdentityResource
from postamt_sync.bootstrap.resources.lifecycle import LifecycleResource
from postamt_sync.bootstrap.resources.log_group import LogGroupResource
from postamt_sync.bootstrap.resources.queue import QueueResource
from postamt_sync.bootstrap.resources.receipt_rule import ReceiptRuleResource
from postamt_sync.bootstrap.resources.role import RoleResource
from postamt_sync.bootstrap.resources.seal_function import Code
from postamt_sync.bootstrap.resources.ses_region import SesRegion
from postamt_sync.bootstrap.resources.table import index_table, lists_table
from postamt_sync.bootstrap.resources.topic import (
    SubscriptionResource,
    TopicResource,
    WebhookSubscriptionResource,
)
from postamt_sync.bootstrap.resources.user import UserResource
from postamt_sync.bootstrap.resources.webmail_routes import WebmailRoutesResource
from postamt_sync.bootstrap.rule_position import Position
from postamt_sync.bootstrap.seal_resources import code_with, seal_resources
from postamt_sync.bootstrap.sender_policy import sender_policy, senders
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.webmail_resources import webmail_resources
from postamt_sync.config.command import USUAL_LINE, CommandLine


@dataclass(frozen=True, slots=True)
class SmtpKey:
    """An access key for sending. `mailbox` is whose it is, empty if all share it."""

    mailbox: str
    key: AccessKeyResource
    file: SmtpKeyFile
    may: Document


@dataclass(frozen=True, slots=True)
class StackKeys:
    """The access keys of the stack's users, with the files that hold them.

    `sending` is empty in a region where SES has no SMTP endpoint.
    """

    sync: AccessKeyResource
    sending: tuple[SmtpKey, ...]

    @property
    def every(self) -> tuple[AccessKeyResource, ...]:
        return (self.sync, *(one.key for one in self.sending))


def keys(
    stack: Stack,
    aws: AwsClient,
    directory: Path,
    hints: KeyHints = NO_HINTS,
    line: CommandLine = USUAL_LINE,
) -> StackKeys:
    """Return the keys, with their files in `directory`; nothing is read or written."""
    path = directory / SYNC_CREDENTIALS
    file: KeyFile = SyncKeyFile(path, stack.sync_user, stack.user_arn(stack.sync_user))
    sync = AccessKeyResource(aws, stack.sync_user, file, KeyPlace("sync", path, hints, line))

    def sending(mailbox: str, may: Document) -> SmtpKey:
        path = directory / smtp_credentials(mailbox)
        file = SmtpKeyFile(path, stack, mailbox)
        place = KeyPlace(f"smtp --mailbox {mailbox}" if mailbox else "smtp", path, hints, line)
        return SmtpKey(mailbox, AccessKeyResource(aws, file.user, file, place), file, may)

    if stack.region in WITHOUT_SMTP:
        return StackKeys(sync, ())
    if stack.smtp_senders:
        own = [sending(one.name, sender_policy(stack, one)) for one in senders(stack)]
        return StackKeys(sync, tuple(own))
    return StackKeys(sync, (sending("", smtp_policy(stack)),))


def former_users(
    stack: Stack, aws: AwsClient, kept: StackKeys, line: CommandLine = USUAL_LINE
) -> FormerUsersResource:
    """Return the SMTP users of which `kept` has no key."""
    return FormerUsersResource(stack, aws, tuple(one.key.user for one in kept.sending), line)


def resources(
    stack: Stack,
    aws: AwsClient,
    directory: Path,
    *,
    position: Position | None = None,
    delete_mail: str = "",
    hints: KeyHints = NO_HINTS,
    line: CommandLine = USUAL_LINE,
    seal_code: Code | None = None,
) -> list[Resource]:
    """Return all resources of the stack, each after those that it needs.

    `directory` is where credentials are kept and `position` where our receipt rule belongs.
    `delete_mail` is the bucket's name if it is to be destroyed with all its mail. `seal_code`
    builds the sealing function's zip, if not from the usual wheel.
    """
    arrivals, dead, index_dead = (
        stack.queue,
        stack.dead_letter_queue,
        stack.index_dead_letter_queue,
    )
    made: list[Resource] = [
        SesRegion(stack, aws),
        BucketResource(stack, aws, delete_mail),
        LifecycleResource(stack, aws, delete_mail),
        TopicResource(stack, aws),
        QueueResource(stack, aws, arrivals),
        QueueResource(stack, aws, dead),
        QueueResource(stack, aws, index_dead, from_topic=False),
        SubscriptionResource(stack, aws, "sqs", stack.queue_arn(arrivals)),
        index_table(stack, aws, delete_mail),
        *([lists_table(stack, aws)] if stack.handed else []),
        RoleResource(
            stack, aws, "postamt-sync: the function that indexes mail", index_policy(stack)
        ),
        LogGroupResource(stack, aws),
        FunctionResource(stack, aws, index_zip()),
        # Only after the function that knows what to do with them.
        *([WebmailRoutesResource(stack, aws, line)] if stack.handed else []),
        SubscriptionResource(stack, aws, "lambda", stack.function_arn),
        BucketEventsResource(stack, aws),
        *(IdentityResource(stack, aws, domain) for domain in stack.domains),
        ReceiptRuleResource(stack, aws, position),
        UserResource(stack, aws, stack.sync_user, sync_policy(stack)),
    ]
    kept = keys(stack, aws, directory, hints, line)
    made.append(kept.sync)
    for one in kept.sending:
        made += [UserResource(stack, aws, one.key.user, one.may), one.key]
    made.append(former_users(stack, aws, kept, line))
    if stack.public_url:
        made.append(WebhookSubscriptionResource(stack, aws))
    if stack.seal is not None:
        made += seal_resources(stack.seal, aws, seal_code or code_with(), line)
    if stack.webmail is not None:
        made += webmail_resources(stack.webmail, aws)
    return made
