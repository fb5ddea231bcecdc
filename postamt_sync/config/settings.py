"""The options: their names, types, defaults and an example each; `config.example.toml` says more.

Attribute names are those of the file. All models are frozen: a reload makes a new `Settings`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PrivateAttr

from postamt_sync.config.byte_rate import ByteRate
from postamt_sync.config.listen import ListenAddress, parse_listen
from postamt_sync.config.section import Section
from postamt_sync.config.stack_settings import (
    HomeSettings,
    SealSettings,
    StackSettings,
    WebmailSettings,
)
from postamt_sync.config.values import (
    AbsolutePath,
    Address,
    BucketName,
    Folder,
    LmtpServer,
    LoopbackOrEmpty,
    MailboxName,
    Network,
    OneOrMany,
    OptionalPath,
    Prefix,
    Region,
    SecretUrlOrEmpty,
    TableName,
    TopicArn,
    TopicArnOrEmpty,
    Url,
    UrlOrEmpty,
    UrlPath,
)
from postamt_sync.mail.seal_table import seal_table_name
from postamt_sync.mail.sent_mail import SENT_PREFIX

ENVIRONMENT_PREFIX = "POSTAMT_SYNC_"
ENVIRONMENT_DELIMITER = "__"

Seconds = Annotated[float, Field(allow_inf_nan=False)]
Listen = Annotated[tuple[Annotated[ListenAddress, BeforeValidator(parse_listen)], ...], OneOrMany]
Networks = Annotated[tuple[Network, ...], OneOrMany]


class AwsSettings(Section):
    """The region of bucket, topic, queue and table; credentials come from boto3's own chain."""

    region: Region = Field(examples=["eu-west-1"])


class BucketSettings(Section):
    """Where SES puts mail. `recent_prefix` is what the poll lists; empty, it lists `prefix`.

    `sealed_prefix` is where its mail lies once sealed, if anywhere; `limit` in bytes a second.
    """

    name: BucketName = Field(examples=["postamt-123456789012-eu-west-1-an"])
    prefix: Prefix = Field(default="incoming/", examples=["incoming/"])
    recent_prefix: Prefix = Field(default="", examples=["recent/"])
    sealed_prefix: Prefix = Field(default="sealed/", examples=["sealed/"])
    kms: bool = Field(default=False, examples=[True])
    limit: ByteRate = Field(default=0, examples=["2M"])


class WebhookSettings(Section):
    """The HTTPS endpoint that SNS posts to; without certificate and key it speaks plain HTTP."""

    listen: Listen = Field(
        default=(ListenAddress("0.0.0.0", 8443), ListenAddress("::", 8443)),  # noqa: S104
        examples=[["0.0.0.0:8443", "[::]:8443"]],
        min_length=1,
    )
    path: UrlPath = Field(default="/sns", examples=["/sns"])
    public_url: Url = Field(examples=["https://home.example.com:8443/sns"])
    topic_arn: TopicArn = Field(examples=["arn:aws:sns:eu-west-1:123456789012:postamt"])
    tls_certificate: OptionalPath = Field(
        default=None, examples=["/etc/postamt-sync/tls/fullchain.pem"]
    )
    tls_key: OptionalPath = Field(default=None, examples=["/etc/postamt-sync/tls/privkey.pem"])
    accept_sha1: bool = Field(default=False, examples=[True])
    trusted_proxies: Networks = Field(default=(), examples=[["127.0.0.1", "10.0.0.0/8"]])


class QueueSettings(Section):
    """The SQS queues; an empty URL means none. `long_poll` defaults to true without a webhook."""

    url: UrlOrEmpty = Field(
        default="", examples=["https://sqs.eu-west-1.amazonaws.com/123456789012/postamt"]
    )
    long_poll: bool = Field(default=False, examples=[True])
    dead_letter_url: UrlOrEmpty = Field(
        default="", examples=["https://sqs.eu-west-1.amazonaws.com/123456789012/postamt-dead"]
    )
    topic_arn: TopicArnOrEmpty = Field(
        default="", examples=["arn:aws:sns:eu-west-1:123456789012:postamt"]
    )


class IndexSettings(Section):
    """The DynamoDB table of envelopes; an empty name means none."""

    table: TableName = Field(default="", examples=["postamt"])


class PollSettings(Section):
    """Seconds between two looks at the recent mail, and between two full listings.

    `heartbeat_url` is asked for after each that succeeded; empty means none.
    """

    interval: Seconds = Field(default=300, ge=10, le=86_400, examples=[300])
    reconcile_interval: Seconds = Field(default=86_400, ge=60, le=2_592_000, examples=[86_400])
    heartbeat_url: SecretUrlOrEmpty = Field(
        default="", examples=["https://hc-ping.com/5f3e0c1a-0000-4000-8000-000000000000"]
    )


class DeliverySettings(Section):
    """How mail goes into Maildirs. A folder that is empty or `inbox` means the INBOX."""

    envelope_grace: Seconds = Field(default=900, ge=0, le=86_400, examples=[900])
    junk_folder: Folder = Field(default="Junk", examples=["Junk"])
    virus_folder: Folder = Field(default="Quarantine", examples=["Quarantine"])
    dmarc_folder: Folder = Field(default="Junk", examples=["Junk"])
    delivered_to_header: bool = Field(default=False, examples=[True])
    remember_headers: bool = Field(default=True, examples=[False])
    log_addresses: bool = Field(default=False, examples=[True])
    lmtp: LmtpServer = Field(default="/run/dovecot/lmtp", examples=["/run/dovecot/lmtp"])


class AdminSettings(Section):
    """Metrics and status page, on loopback or a Unix socket only; empty means off."""

    listen: LoopbackOrEmpty = Field(default="127.0.0.1:9125", examples=["127.0.0.1:9125"])


class AlertSettings(Section):
    """What the daemon tells by a mail of its own, by cause; `Cause` in the ledger is the same."""

    dead_letters: bool = Field(default=True, examples=[False])
    quarantine: bool = Field(default=True, examples=[False])
    credentials: bool = Field(default=True, examples=[False])
    silence: bool = Field(default=True, examples=[False])
    certificate: bool = Field(default=True, examples=[False])
    disk: bool = Field(default=True, examples=[False])
    mailbox: bool = Field(default=True, examples=[False])
    lost_files: bool = Field(default=True, examples=[False])
    absent: bool = Field(default=True, examples=[False])
    publishing: bool = Field(default=True, examples=[False])
    bounces: bool = Field(default=True, examples=[False])
    complaints: bool = Field(default=True, examples=[False])
    sealing: bool = Field(default=True, examples=[False])

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names of those that are on."""
        return tuple(name for name, on in self if on)


class Mailbox(Section):
    """One person's Maildir, and the recipient conditions (RFC 5321 addresses) that lead to it.

    `addresses` are normalised: the domain as lower-case A-label, the local part as written.
    """

    name: MailboxName = Field(examples=["thomas"])
    maildir: AbsolutePath = Field(examples=["/var/mail/vhosts/example.com/thomas/Maildir"])
    addresses: tuple[Address, ...] = Field(
        default=(), examples=[["thomas@example.com", "example.com", ".example.com"]]
    )
    default: bool = Field(default=False, examples=[True])
    tag_folders: bool = Field(default=False, examples=[True])
    delivery: Literal["maildir", "lmtp"] = Field(default="maildir", examples=["lmtp"])


class Settings(Section):
    """Everything that can be configured. Make one with `load`, which also applies the rules."""

    state_dir: AbsolutePath = Field(
        default=Path("/var/lib/postamt-sync"), examples=["/var/lib/postamt-sync"]
    )
    backup_dir: OptionalPath = Field(default=None, examples=["/mnt/second-disk/postamt-sync"])
    aws: AwsSettings
    bucket: BucketSettings
    webhook: WebhookSettings | None = None
    queue: QueueSettings = QueueSettings()
    index: IndexSettings = IndexSettings()
    poll: PollSettings = PollSettings()
    delivery: DeliverySettings = DeliverySettings()
    admin: AdminSettings = AdminSettings()
    alerts: AlertSettings = AlertSettings()
    stack: StackSettings = StackSettings()
    home: HomeSettings = HomeSettings()
    webmail: WebmailSettings = WebmailSettings()
    seal: SealSettings = SealSettings()
    mailboxes: tuple[Mailbox, ...]

    _source: str = PrivateAttr(default="")
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def source(self) -> str:
        """The path that was read, as it was given; make it printable before it is shown."""
        return self._source

    def origin(self, key: str) -> str:
        """Where the value of `poll.interval` came from: `file`, a variable's name or `default`."""
        return self._origins.get(key, "default")

    @property
    def default_mailbox(self) -> Mailbox:
        """Who gets what matches no address."""
        return next(mailbox for mailbox in self.mailboxes if mailbox.default)

    @property
    def backup_directories(self) -> tuple[Path, ...]:
        """Where copies of the ledger are kept."""
        return (self.state_dir, *([self.backup_dir] if self.backup_dir else []))

    @property
    def mail_prefixes(self) -> tuple[str, ...]:
        """Where in the bucket lies what belongs home: what came, and what the webmail has sent."""
        return (self.bucket.prefix, *((SENT_PREFIX,) if self.webmail.enabled else ()))

    @property
    def seal_keys(self) -> tuple[Path, ...]:
        """The files of `seal.keys`; a relative one lies beside the configuration."""
        return tuple(Path(self._source).parent / Path(key).expanduser() for key in self.seal.keys)

    @property
    def sealed_place(self) -> tuple[str, str, bool]:
        """Where mail lies, where its sealed objects do, and whether any are made."""
        return self.bucket.prefix, self.bucket.sealed_prefix, self.seal.enabled

    @property
    def seal_table(self) -> str:
        """The DynamoDB table for what box and cloud tell each other of sealing; "" without it."""
        return seal_table_name(self.stack.name) if self.seal.enabled else ""

    @property
    def topic_arn(self) -> str:
        """The one topic whose messages are believed, however they come; "" where none can come."""
        return self.webhook.topic_arn if self.webhook is not None else self.queue.topic_arn

    @property
    def effective_envelope_grace(self) -> float:
        """Seconds to wait for an envelope: 0 where none can come, for there is no source of any."""
        sources = self.webhook, self.queue.url, self.queue.dead_letter_url, self.index.table
        return self.delivery.envelope_grace if any(sources) else 0.0
