"""Turns AWS's errors into sentences that a person can act on.

`error_codes` finds the cause from code, status and exception; `meanings` has the sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from postamt_sync.aws.as_it_runs import as_it_runs
from postamt_sync.aws.error_answer import code_of, message_of, unknown_at
from postamt_sync.aws.error_codes import ErrorCause, cause_of
from postamt_sync.aws.meanings import (
    MEANINGS,
    NOT_SAID_BY_AWS,
    Asker,
    ForbiddenError,
    TokenError,
)
from postamt_sync.errors import PostamtError
from postamt_sync.events import printable
from postamt_sync.log_line import without_markup

__all__ = ["Asker", "ForbiddenError", "TokenError", "aws_call", "meaning", "refusal"]

_NOTHING = "nothing more"
LONGEST_CODE = 100
"""Characters of an error code to show in a sentence."""


@contextmanager
def aws_call(what: str, *, name: str = "") -> Iterator[None]:
    """Turn whatever boto3 raises in the block into a PostamtError; see `refusal`.

    This catches any exception, because an unexpected answer can make botocore's parsers raise
    anything. So put nothing into the block but the call and the reading of its answer.
    """
    try:
        yield
    except (PostamtError, MemoryError):
        raise
    except Exception as error:
        raise refusal(what, error, name=name) from error


def refusal(
    what: str, error: Exception, *, name: str = "", asker: Asker = Asker.DAEMON
) -> PostamtError:
    """Return the error to raise for what boto3 raised.

    `what` was attempted: for the daemon a verb with its object ("subscribe the webhook"), for an
    administrator an IAM action. `name` is the name of the bucket or table.
    """
    if isinstance(error, ClientError):
        code, said = code_of(error), message_of(error)
        if endpoint := unknown_at(error):
            code = f"{code or 'no code'} from {endpoint}"
    else:
        code, said = type(error).__name__, str(error)
    cause = cause_of(error)
    if asker is Asker.ADMINISTRATOR and code == "403":
        cause = ErrorCause.FORBIDDEN  # a HEAD gets no other code from S3
    return meaning(cause, what, code=code, said=said, name=name, asker=asker)


def meaning(
    cause: ErrorCause,
    what: str,
    *,
    code: str = "",
    said: str = "",
    name: str = "",
    asker: Asker = Asker.DAEMON,
) -> PostamtError:
    """Return the error to raise for a cause; `code`, `said` and `name` may be untrusted text."""
    told = MEANINGS[asker].get(cause) or MEANINGS[asker][ErrorCause.UNKNOWN]
    facts = {
        "what": what,
        "name": printable(name) or "of this name",
        "code": printable(without_markup(code), LONGEST_CODE) or "no code",
        "said": printable(without_markup(said)).rstrip(".") or _NOTHING,
    }
    hint = as_it_runs(told.hint, **facts)
    is_heard = said and cause not in NOT_SAID_BY_AWS and "{said}" not in told.problem + told.hint
    if hint and is_heard and facts["said"] != _NOTHING:
        hint = f"{hint.rstrip('.')}; AWS says: {facts['said']}"
    return told.kind(told.problem.format(**facts), hint)
