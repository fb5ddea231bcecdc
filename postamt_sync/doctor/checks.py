"""All checks of one configuration, outside in: from the world's view of us to the mail client's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.configuration import ConfigDrift
from postamt_sync.bootstrap.dns.records import Servers
from postamt_sync.bootstrap.open_stack import queue_urls_to_be, stack_of
from postamt_sync.bootstrap.resources.bucket import BucketResource
from postamt_sync.bootstrap.resources.bucket_events import BucketEventsResource
from postamt_sync.bootstrap.resources.queue import QueueResource
from postamt_sync.bootstrap.resources.topic import SubscriptionResource, TopicResource
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.config import Settings
from postamt_sync.doctor.account import AwsAccount, CredentialsCheck, PlanCheck
from postamt_sync.doctor.box import DiskSpaceCheck, LastMailCheck, LedgerCheck, ServiceCheck
from postamt_sync.doctor.check import AdministratorsCheck, Check
from postamt_sync.doctor.clock import ClockCheck, date_at_aws
from postamt_sync.doctor.dns import DnsCheck
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.invocation import InvocationCheck
from postamt_sync.doctor.maildirs import doveadm_user, mailboxes
from postamt_sync.doctor.permissions import permissions
from postamt_sync.doctor.sealing import SealingCheck
from postamt_sync.doctor.ses import IdentitiesCheck, ReceiptRuleCheck, SendingCheck, SmtpUser
from postamt_sync.doctor.webhook import CertificateCheck, SubscriptionCheck, WebhookCheck
from postamt_sync.doctor.webmail import webmail_checks
from postamt_sync.host.service.certificate import webhook_host, webhook_pair
from postamt_sync.host.service.service import systemctl

if TYPE_CHECKING:
    import dns.asyncresolver


@dataclass(frozen=True, slots=True)
class ConfigurationCheck:
    """Does the configuration say the same as the stack that it names?"""

    settings: Settings
    account: AwsAccount

    @property
    def subject(self) -> str:
        return "configuration"

    def look(self) -> Iterable[Finding]:
        yield Finding(self.subject, Severity.OK, "It can be read and is consistent.")
        stack, aws = self.account.open()
        for item in ConfigDrift(stack, self.settings, queue_urls_to_be(stack, aws)).plan():
            message = f"{item.message}."
            remedy = "If the stack of [stack] is yours, set it as the stack has it."
            yield Finding(self.subject, Severity.WARNING, message, remedy)


def checks(
    settings: Settings,
    opening: Callable[[], tuple[Stack, AwsClient]],
    resolver: Callable[[], dns.asyncresolver.Resolver],
) -> list[Check]:
    """Return what there is to look at. `opening` opens the account, `resolver` asks the DNS."""
    account = AwsAccount(opening)
    home = settings.home
    servers = Servers(home.imap_host, relay=home.submission)
    return [
        ConfigurationCheck(settings, account),
        ClockCheck(lambda: date_at_aws(settings.aws.region)),
        CredentialsCheck(account),
        *(
            [DnsCheck(account, stack_of(settings, ""), servers, resolver)]
            if _domains(settings)
            else []
        ),
        *map(AdministratorsCheck, _at_aws(account)),
        *([AdministratorsCheck(InvocationCheck(account))] if settings.index.table else []),
        *(map(AdministratorsCheck, webmail_checks(account)) if settings.webmail.enabled else ()),
        *([SealingCheck(settings, account)] if settings.seal.enabled else []),
        *permissions(settings, account),
        *_push(settings, account),
        LedgerCheck(settings.state_dir),
        DiskSpaceCheck(settings),
        *mailboxes(settings, doveadm_user),
        ServiceCheck(settings.state_dir, systemctl),
        LastMailCheck(settings),
    ]


def _domains(settings: Settings) -> bool:
    return bool(settings.stack.domains)


def _at_aws(account: AwsAccount) -> list[Check]:
    return [
        IdentitiesCheck(account),
        SendingCheck(account),
        SmtpUser(account),
        ReceiptRuleCheck(account),
        PlanCheck("bucket", account, _bucket, "The bucket and its policy are as planned."),
        PlanCheck("topic", account, TopicResource, "The topic and its policy are as planned."),
        PlanCheck(
            "announcements",
            account,
            BucketEventsResource,
            "The bucket notifies the topic of mail.",
            needs="bucket",
        ),
        PlanCheck(
            "queue", account, lambda s, a: QueueResource(s, a, s.queue), "The queue is as planned."
        ),
        PlanCheck(
            "dead letters",
            account,
            lambda s, a: QueueResource(s, a, s.dead_letter_queue),
            "The queue of dead letters is as planned.",
        ),
        PlanCheck(
            "queue's subscription",
            account,
            lambda s, a: SubscriptionResource(s, a, "sqs", s.queue_arn(s.queue)),
            "The topic sends to the queue.",
        ),
    ]


def _bucket(stack: Stack, aws: AwsClient) -> BucketResource:
    """Ask first whether its policy may be seen: the plan takes a refusal for another's bucket."""
    unseen = ("NoSuchBucket", "NoSuchBucketPolicy")
    aws.read("s3", "get_bucket_policy", missing=unseen, Bucket=stack.bucket)
    return BucketResource(stack, aws)


def _push(settings: Settings, account: AwsAccount) -> list[Check]:
    webhook = settings.webhook
    if webhook is None:
        return []
    found: list[Check] = [SubscriptionCheck(account, webhook), WebhookCheck(webhook.public_url)]
    pair = webhook_pair(settings)
    if pair is not None:
        found.append(CertificateCheck(pair, webhook_host(settings)))
    return found
