"""All checks of one configuration, outside in: from the world's view of us to the mail client's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postamt_sync.bootstrap.aws_client import Aws
from postamt_sync.bootstrap.dns.records import Servers
from postamt_sync.bootstrap.open_stack import queue_urls_to_be, stack_of
from postamt_sync.bootstrap.resources.bucket import Bucket
from postamt_sync.bootstrap.resources.bucket_events import Notification
from postamt_sync.bootstrap.resources.config_drift import Agreement
from postamt_sync.bootstrap.resources.queue import Queue
from postamt_sync.bootstrap.resources.subscription import Subscription
from postamt_sync.bootstrap.resources.topic import Topic
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.config import Settings
from postamt_sync.doctor.account import Account, AsPlanned, Credentials
from postamt_sync.doctor.box import LastMail, Room, Service, SoundLedger
from postamt_sync.doctor.check import Check, ForAdministrators
from postamt_sync.doctor.clock import Clock, date_at_aws
from postamt_sync.doctor.dns import Records
from postamt_sync.doctor.finding import Finding, Outcome
from postamt_sync.doctor.machine import doveadm_user, systemctl
from postamt_sync.doctor.maildirs import mailboxes
from postamt_sync.doctor.permissions import permissions
from postamt_sync.doctor.ses import Identities, Rule, Sending, SmtpUser
from postamt_sync.doctor.webhook import Certificate, Reached, Subscribed
from postamt_sync.host.service.certificate import webhook_host, webhook_pair

if TYPE_CHECKING:
    import dns.asyncresolver


@dataclass(frozen=True, slots=True)
class Configuration:
    """Does the configuration say the same as the stack that it names?"""

    settings: Settings
    account: Account

    @property
    def subject(self) -> str:
        return "configuration"

    def look(self) -> Iterable[Finding]:
        yield Finding(self.subject, Outcome.OK, "It can be read, and holds no contradiction.")
        stack, aws = self.account.open()
        for item in Agreement(stack, self.settings, queue_urls_to_be(stack, aws)).plan():
            words = f"{item.words}."
            remedy = "If the stack of [stack] is yours, set it as the stack has it."
            yield Finding(self.subject, Outcome.WARNING, words, remedy)


def checks(
    settings: Settings,
    opening: Callable[[], tuple[Stack, Aws]],
    resolver: Callable[[], dns.asyncresolver.Resolver],
) -> list[Check]:
    """Return what there is to look at. `opening` opens the account, `resolver` asks the DNS."""
    account = Account(opening)
    home = settings.home
    servers = Servers(home.imap_host, relay=home.submission)
    return [
        Configuration(settings, account),
        Clock(lambda: date_at_aws(settings.aws.region)),
        Credentials(account),
        *(
            [Records(account, stack_of(settings, ""), servers, resolver)]
            if _domains(settings)
            else []
        ),
        *map(ForAdministrators, _at_aws(account)),
        *permissions(settings, account),
        *_push(settings, account),
        SoundLedger(settings.state_dir),
        Room(settings),
        *mailboxes(settings, doveadm_user),
        Service(settings.state_dir, systemctl),
        LastMail(settings),
    ]


def _domains(settings: Settings) -> bool:
    return bool(settings.stack.domains)


def _at_aws(account: Account) -> list[Check]:
    return [
        Identities(account),
        Sending(account),
        SmtpUser(account),
        Rule(account),
        AsPlanned("bucket", account, _bucket, "The bucket and its policy are as planned."),
        AsPlanned("topic", account, Topic, "The topic and its policy are as planned."),
        AsPlanned("announcements", account, Notification, "The bucket tells the topic of mail."),
        AsPlanned("queue", account, lambda s, a: Queue(s, a, s.queue), "The queue is as planned."),
        AsPlanned(
            "dead letters",
            account,
            lambda s, a: Queue(s, a, s.dead_letter_queue),
            "The queue of dead letters is as planned.",
        ),
        AsPlanned(
            "queue's subscription",
            account,
            lambda s, a: Subscription(s, a, "sqs", s.queue_arn(s.queue)),
            "The topic tells the queue.",
        ),
    ]


def _bucket(stack: Stack, aws: Aws) -> Bucket:
    """Ask first whether its policy may be seen: the plan takes a refusal for another's bucket."""
    unseen = ("NoSuchBucket", "NoSuchBucketPolicy")
    aws.read("s3", "get_bucket_policy", missing=unseen, Bucket=stack.bucket)
    return Bucket(stack, aws)


def _push(settings: Settings, account: Account) -> list[Check]:
    webhook = settings.webhook
    if webhook is None:
        return []
    found: list[Check] = [Subscribed(account, webhook), Reached(webhook.public_url)]
    pair = webhook_pair(settings)
    if pair is not None:
        found.append(Certificate(pair, webhook_host(settings)))
    return found
