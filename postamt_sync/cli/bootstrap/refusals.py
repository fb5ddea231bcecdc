"""What boto3 raises, in two sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.events import printable


@contextmanager
def refusals(service: str) -> Iterator[None]:
    """Raise PostamtError for what boto3 raises while it asks `service`."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise MisconfiguredError(
            "There are no AWS credentials, or only half of them.",
            "Give them to the AWS SDK, as with: aws configure",
        ) from error
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        raise TryLaterError(
            f"AWS ({service}) could not be asked: {printable(str(error)).rstrip('.')}.",
            "Look at the network, at aws.region, and at what the credentials may do.",
        ) from error
