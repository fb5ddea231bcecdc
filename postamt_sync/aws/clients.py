"""Creates all boto3 sessions and clients, each with the timeouts and retries that its use calls
for.

Endpoint, profile, proxies and credentials come from boto3's own chain (AWS_ENDPOINT_URL and so on).
Every function raises MisconfiguredError if boto3 cannot work with what it finds there, whatever it
raises itself. Clients are thread-safe; the composition root creates each once, and only if its
service is in use.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.httpsession import get_cert_path

from postamt_sync.aws.bounded_files import look_at_certificates
from postamt_sync.aws.bounded_session import LONGEST_PROGRAM, BoundedSession
from postamt_sync.aws.configured_endpoint import bad_endpoint, is_endpoint, refuse_bad_endpoints
from postamt_sync.aws.error_answer import note_endpoint
from postamt_sync.aws.error_codes import ErrorCause, cause_of
from postamt_sync.aws.errors import meaning
from postamt_sync.aws.lean_session import LeanSession
from postamt_sync.aws.service_models import forget_models, share_models
from postamt_sync.errors import PostamtError

if TYPE_CHECKING:
    import boto3
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client
    from types_boto3_sns import SNSClient
    from types_boto3_sqs import SQSClient

CALL_SECONDS = 10
"""How long a connection, or an answer other than a long poll's, may take."""
LONG_POLL_SECONDS = 20
"""The longest that SQS lets a request wait for messages."""

A_PERSON_ANSWERS = 300.0
"""Seconds for a credential_process that asks the person at the terminal, say for a code."""

BUILDING = Config(
    # Adaptive: slows down and retries when AWS throttles.
    retries={"mode": "adaptive", "total_max_attempts": 8},
    connect_timeout=10,
    read_timeout=60,
)
"""For creating and destroying resources, which may take a while."""
LOOKING = Config(
    retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=4, read_timeout=6
)
"""For checks: an answer that takes longer is a finding in itself."""
ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
"""For calls that must not be retried behind our back; merged into another."""

_DAEMON = ONCE.merge(Config(connect_timeout=CALL_SECONDS, read_timeout=CALL_SECONDS))
_QUEUES = _DAEMON.merge(
    # Up to ten deletions run beside the long poll.
    Config(read_timeout=LONG_POLL_SECONDS + CALL_SECONDS, max_pool_connections=10)
)
_THRICE = _DAEMON.merge(Config(retries={"mode": "standard", "total_max_attempts": 3}))
_RESTORES = _THRICE.merge(Config(read_timeout=60))


def new_session(region: str = "", *, program_seconds: float = LONGEST_PROGRAM) -> boto3.Session:
    """Return a session: one credential chain, with limits on all answers that it gets.

    `program_seconds` is how long a credential_process may run.
    """
    import boto3  # noqa: PLC0415 - the daemon does without

    with _settings_explained():
        core = BoundedSession(program_seconds)
        share_models(core)
        return boto3.Session(region_name=region or None, botocore_session=core)


def lean_session(region: str = "") -> boto3.Session:
    """Return a session for the daemon: it creates clients and has credentials, and nothing else."""
    with _settings_explained():
        core = BoundedSession(LONGEST_PROGRAM)
        share_models(core)
        return cast("boto3.Session", LeanSession(core, region))


def sns_client(session: boto3.Session, region: str) -> SNSClient:
    """For the webhook's subscription: one attempt per call, because the caller does the pauses."""
    client: SNSClient = new_client(session, "sns", region, _DAEMON)
    return client


def sqs_client(session: boto3.Session, region: str) -> SQSClient:
    """For all our queues: one attempt per call, because the caller does the pauses."""
    client: SQSClient = new_client(session, "sqs", region, _QUEUES)
    return client


def dynamodb_client(session: boto3.Session, region: str) -> DynamoDBClient:
    """For the index."""
    client: DynamoDBClient = new_client(session, "dynamodb", region, _THRICE)
    return client


def cloudwatch_client(session: boto3.Session, region: str) -> CloudWatchClient:
    """For SES's metrics, a few calls an hour: one attempt per call."""
    client: CloudWatchClient = new_client(session, "cloudwatch", region, _DAEMON)
    return client


def kms_client(session: boto3.Session, region: str) -> Any:
    """For the keys of mail that SES encrypted, one call per mail."""
    return new_client(session, "kms", region, _THRICE)


def s3_client(session: boto3.Session, region: str) -> S3Client:
    """For rare calls to S3; GET and LIST, which come in bulk, have their own client (`bucket`)."""
    client: S3Client = new_client(session, "s3", region, _RESTORES)
    return client


def unsigned_client(session: boto3.Session, service: str, region: str) -> Any:
    """Return a client that needs no credentials, for what it knows by itself: its endpoint."""
    return new_client(session, service, region, Config(signature_version=UNSIGNED))


def new_client(
    session: boto3.Session, service: str, region: str, config: Config, endpoint: str | None = None
) -> Any:
    """Return a client. `endpoint` replaces boto3's own, and is reached without a proxy."""
    if endpoint:
        config = config.merge(Config(proxies={}))
    options = {"region_name": region, "endpoint_url": endpoint, "config": config}
    stand_in: object = session
    if isinstance(stand_in, _LazySession):
        return stand_in.client(service, **options)
    return _made(session, service, options)


def refuse_bad_settings(session: boto3.Session) -> None:
    """Raise MisconfiguredError for an endpoint that no client could use, without creating one.

    For the daemon's start: its environment never changes while it runs. Unreadable files are no
    reason to refuse, because they may be repaired while it runs.
    """
    with suppress(BotoCoreError, ValueError):
        refuse_bad_endpoints(session._session)  # noqa: SLF001 (no public name)


def _made(session: boto3.Session, service: str, options: dict[str, Any]) -> Any:
    with _settings_explained():
        try:
            client = session.client(service, **options)  # type: ignore[call-overload]
        except ValueError:
            refuse_bad_endpoints(session._session)  # noqa: SLF001
            raise
        if not is_endpoint(client.meta.endpoint_url):
            refuse_bad_endpoints(session._session)  # noqa: SLF001
            raise bad_endpoint(client.meta.endpoint_url)
        noting = partial(note_endpoint, client.meta.endpoint_url)
        client.meta.events.register("after-call", noting)
        return client


def ca_bundle(session: boto3.Session) -> str:
    """Return the path of boto3's CA bundle: AWS_CA_BUNDLE, the profile's, else its own."""
    with _settings_explained():
        look_at_certificates(session._session)  # noqa: SLF001 (no public name)
        own = session._session.get_config_variable("ca_bundle")  # noqa: SLF001
        return str(own or get_cert_path(True))


@contextmanager
def _settings_explained() -> Iterator[None]:
    """Explain what botocore raises for a broken ~/.aws/config, endpoint or model: almost
    anything."""
    try:
        yield
    except PostamtError:
        raise
    except Exception as error:
        # Credentials are looked for as soon as a client is created.
        cause = cause_of(error)
        cause = ErrorCause.SETTINGS if cause is ErrorCause.UNEXPECTED else cause
        raise meaning(cause, "make a client", said=f"{error}" or type(error).__name__) from error


class _MadeAtFirstUse:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None
        self._making = threading.Lock()

    def _whole(self) -> Any:
        with self._making:
            if self._made is None:
                self._made = self._make()
        return self._made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole(), name)


class _LazySession(_MadeAtFirstUse):
    def client(self, service: str, **options: Any) -> Any:
        return _MadeAtFirstUse(lambda: self._client(service, options))

    def _client(self, service: str, options: dict[str, Any]) -> Any:
        session = self._whole()
        try:
            return _made(session, service, options)
        finally:  # the client keeps what it needs, and this process creates few
            forget_models()
            session._session.forget_endpoints()  # noqa: SLF001 (no public name)


def lazy_session(make: Callable[[], boto3.Session]) -> boto3.Session:
    """Return a stand-in for the session that `make` returns; its clients are stand-ins too.

    Creating one reads the AWS configuration and gets credentials, which may run a program or use
    the network. So each is created at its first call, and fails like a call: only for its caller,
    and temporarily. The first call blocks, so use clients in threads only.
    """
    return cast("boto3.Session", _LazySession(make))
