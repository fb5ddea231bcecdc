"""The webmail's ports in its function. Clients are created once, each at its first use."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.webmail.day_place import S3DayPlace
from postamt_sync.webmail.function_settings import OFF, ON, FunctionSettings
from postamt_sync.webmail.index_table import DynamoEntryTable
from postamt_sync.webmail.line_table import DynamoLineTable
from postamt_sync.webmail.mail_store import S3MailStore, SealedPrefixes
from postamt_sync.webmail.mailer import SesMailer
from postamt_sync.webmail.parameter_keys import ParameterKeyRing, ParameterKeys
from postamt_sync.webmail.record_table import DynamoRecordTable
from postamt_sync.webmail.routes_item import RoutesItem
from postamt_sync.webmail.sent_store import S3SentStore
from postamt_sync.webmail.unindexed import MailPlaces
from postamt_sync.webmail.webmail import Say, Webmail, WebmailPorts

_USUAL = Config(
    connect_timeout=3, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 3}
)
"""For most calls: API Gateway gives up after 30 seconds."""
_MAIL = _USUAL.merge(
    Config(
        read_timeout=20,
        # A presigned URL must lead to the region itself: another host would redirect the browser,
        # which the page's policy does not allow.
        signature_version="s3v4",
        s3={"addressing_style": "virtual"},
    )
)
_SENDING = _USUAL.merge(
    Config(read_timeout=25, retries={"mode": "standard", "total_max_attempts": 1})
)
"""For sending, with one attempt: a mail must not be sent twice unnoticed."""


class FunctionPorts:
    """Puts the webmail together, without making any request yet."""

    def __init__(self, settings: FunctionSettings, region: str, say: Say) -> None:
        dynamodb = _lazy("dynamodb", _USUAL)
        s3 = _lazy("s3", _MAIL)
        self._settings = settings
        self._keys = ParameterKeys(_lazy("ssm", _USUAL), settings.parameters, time.monotonic)
        self._table = DynamoRecordTable(dynamodb, settings.table)
        self._index = DynamoEntryTable(dynamodb, settings.index)
        self._lines = DynamoLineTable(dynamodb, settings.lists)
        self._routes = RoutesItem(dynamodb, settings.lists, time.monotonic)
        kms = _lazy("kms", _USUAL) if settings.kms == ON else None
        self.store = S3MailStore(s3, settings.bucket, kms, _sealed(settings))
        self._kept = S3SentStore(s3, settings.bucket)
        self.day = S3DayPlace(s3, settings.day_bucket, settings.day_prefix)
        self._mailer = SesMailer(_lazy("sesv2", _SENDING), region)
        self._say = say
        self._made: tuple[HandedRoutes, Webmail] | None = None

    @property
    def origin_secret(self) -> ParameterKeyRing:
        return self._keys.of(self._settings.origin_secret)

    def webmail(self) -> Webmail:
        """Return the webmail for the routes that were handed over last; raises what AWS raises."""
        handed = self._routes.handed()
        if self._made is None or self._made[0] is not handed:
            self._made = handed, Webmail(self._ports(handed))
        return self._made[1]

    def _ports(self, handed: HandedRoutes) -> WebmailPorts:
        settings = self._settings
        return WebmailPorts(
            table=self._table,
            index=self._index,
            store=self.store,
            handed=handed,
            keys=self._keys.of(settings.session_keys),
            device_keys=self._keys.of(settings.device_keys),
            host=settings.host,
            origins=(settings.origin,),
            clock=time.time,
            say=self._say,
            places=MailPlaces(settings.prefix, settings.recent_prefix),
            mailer=self._mailer,
            kept=self._kept,
            day=self.day,
            lines=self._lines,
        )


def _sealed(settings: FunctionSettings) -> SealedPrefixes | None:
    if settings.sealed_prefix == OFF or not settings.prefix:
        return None
    return SealedPrefixes(settings.prefix, settings.sealed_prefix)


class _ClientToBe:
    """Stands for a client: creating one takes a tenth of a second, and not all are needed."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = functools.cache(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


def _lazy(service: str, config: Config) -> Any:
    return _ClientToBe(lambda: boto3.client(service, config=config))  # type: ignore[call-overload]
