"""The keys of mail that SES encrypted on its side, as KMS gives them out, one for each mail."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from postamt_sync.awaiting import in_own_thread
from postamt_sync.aws.data_keys import NeverOpenedError, NoDataKeyError, data_key
from postamt_sync.aws.error_answer import code_of
from postamt_sync.aws.error_codes import ErrorCause, cause_of
from postamt_sync.aws.errors import refusal
from postamt_sync.errors import PostamtError, TryLaterError, UndeliverableError
from postamt_sync.mail.client_encryption import ClientEncryption

LONGEST_ANSWER = 45.0
"""Seconds in which KMS has to answer; the client's own limits are shorter."""


class UnopenedError(TryLaterError):
    """One mail cannot be opened for now: its KMS key is refused, or nobody asked for it yet."""


class DataKeys:
    """Asks KMS. `client` is one of boto3, or a stand-in that is made at its first call."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def key_of(self, encryption: ClientEncryption) -> bytes:
        """Return a mail's key. Raises UndeliverableError where nobody can have it, UnopenedError
        where it may be had later; either concerns this mail alone."""
        try:
            return await in_own_thread(lambda: data_key(self._client, encryption), LONGEST_ANSWER)
        except NeverOpenedError as error:
            raise never_opened(str(error)) from error
        except NoDataKeyError as error:
            raise UnopenedError(
                f"The mail is encrypted on SES's side, and {error}, which opens nothing.",
                "Look for what stands between here and KMS (AWS_ENDPOINT_URL, a proxy), and who "
                "encrypted the object: SES has keys of 32 bytes. The mail waits.",
            ) from error
        except Exception as error:  # whatever boto3 and its credentials raise
            raise _unopened(error) from error


def never_opened(reason: str) -> UndeliverableError:
    """Say that what is stored is no mail that anybody could read; `reason` in a few words."""
    return UndeliverableError(
        f"The mail is encrypted on SES's side and cannot be opened: {reason}.",
        "Look for another version of the object in the S3 console.",
    )


def unknown_encryption(reason: str) -> UndeliverableError:
    """Say that an object is encrypted otherwise than SES does; `reason` names how."""
    return UndeliverableError(
        f"The object is encrypted, though not as SES does it with a KMS key: {reason}.",
        "What SES writes is read (S3 encryption client v2, AES/GCM, the data key wrapped by KMS); "
        "decrypt this one by whatever wrote it.",
    )


def no_kms() -> UnopenedError:
    """Say that nobody has configured that such mail be opened."""
    return UnopenedError(
        "The mail is encrypted on SES's side with a KMS key, and kms is not on.",
        "Set kms = true under [bucket] and allow kms:Decrypt: postamt-sync bootstrap apply. "
        "It waits for that.",
    )


_STATES = {
    "DisabledException": ("is disabled", "Enable it in the console under KMS"),
    "KMSInvalidStateException": (
        "is in a state in which nobody can use it",
        "If it is about to be deleted, cancel that in the console under KMS, and enable it",
    ),
    "KeyUnavailableException": ("is not available", "Nothing needs to be done"),
    "NotFoundException": (
        "is not there",
        "If it is about to be deleted, cancel that in the console under KMS",
    ),
}


def _unopened(error: Exception) -> UnopenedError:
    code = code_of(error) if isinstance(error, ClientError) else ""
    if code in _STATES:
        state, remedy = _STATES[code]
        return UnopenedError(f"The KMS key of this mail {state}.", f"{remedy}; the mail waits.")
    if cause_of(error) is ErrorCause.FORBIDDEN:
        return UnopenedError(
            "We may not use the KMS key of this mail.",
            "Allow kms:Decrypt for our user: kms = true under [bucket], then postamt-sync "
            "bootstrap apply; the key's own policy has to allow it too. The mail waits.",
        )
    told = error if isinstance(error, PostamtError) else refusal("have a mail's key opened", error)
    return UnopenedError(told.problem, told.hint)
