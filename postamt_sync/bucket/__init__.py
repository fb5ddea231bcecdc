"""Reading the bucket: list it, fetch from it, and never write.

boto3 spends most of a small machine's CPU on a mail, so the two calls that come in bulk, the
listing and the GET, are made over aiohttp and signed here. Credentials, endpoint and trusted
certificates still come from boto3's own chain.
"""

from postamt_sync.bucket.bucket import Bucket
from postamt_sync.bucket.data_keys import DataKeys, UnopenedError
from postamt_sync.bucket.fetched import DamagedError, Fetched
from postamt_sync.bucket.listing import Listed
from postamt_sync.bucket.mail_listing import SealedPlace, mail_pages, one_mail
from postamt_sync.bucket.opened_mail import OpenedMail, OpenedPlace
from postamt_sync.bucket.responses import (
    AccessDeniedError,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectGoneError,
)

__all__ = [
    "AccessDeniedError",
    "Bucket",
    "DamagedError",
    "DataKeys",
    "Fetched",
    "Listed",
    "ObjectArchivedError",
    "ObjectChangedError",
    "ObjectGoneError",
    "OpenedMail",
    "OpenedPlace",
    "SealedPlace",
    "UnopenedError",
    "mail_pages",
    "one_mail",
]
