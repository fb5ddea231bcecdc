"""Errors that nobody expected: what they were and where, in a sentence, so that work can go on.

An answer of a stranger can make a library raise anything, and we have bugs. Whoever runs something
that must not end with its first error passes whatever it raised to `as_trouble`.
"""

from __future__ import annotations

from pathlib import Path
from types import FrameType

from postamt_sync.errors import ExitCode, PostamtError
from postamt_sync.events import printable

_OURS = __name__.partition(".")[0]


class UnexpectedError(PostamtError):
    """Something raised what nobody foresaw; temporary, as is all that is not proven permanent."""

    exit_code = ExitCode.INTERNAL


def as_trouble(error: Exception) -> PostamtError:
    """Return an error that a person may read: `error` itself, or an UnexpectedError of it."""
    if isinstance(error, PostamtError):
        return error
    return UnexpectedError(
        f"Unexpected error: {description(error)}.",
        "It is tried again. If it stays, please report it.",
    )


def as_exception(error: BaseException) -> Exception:
    """Return an error that `except Exception` catches and a future can hold.

    That is `error` itself, or a RuntimeError that names it: a panic in a library written in Rust,
    SystemExit, a StopIteration.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    cause = first_cause(error)
    text = f"{type(cause).__name__}: {cause}".removesuffix(": ")
    raised = RuntimeError(text).with_traceback(cause.__traceback__ or error.__traceback__)
    raised.__cause__ = error
    return raised


def description(error: BaseException) -> str:
    """Return kind, text and place of an error, fit for a log line."""
    cause = first_cause(error)
    text = printable(str(cause).rstrip("."), 160)
    kind = type(cause).__name__
    return f"{f'{kind}: {text}' if text else kind} ({place(error)})"


def place(error: BaseException) -> str:
    """Return the file and line of ours that the error passed last, then where it was raised.

    Files are named by their module, so no path of this machine shows.
    """
    traceback = first_cause(error).__traceback__ or error.__traceback__
    frames = []
    while traceback is not None:
        frames.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    if not frames:
        return "unknown place"
    ours = [frame for frame in frames if _module(frame[0]).partition(".")[0] == _OURS]
    named = [_file(*frame) for frame in (*ours[-1:], frames[-1])]
    return " in ".join(dict.fromkeys(reversed(named)))


def first_cause(error: BaseException) -> BaseException:
    """Return the first single error of a group, which is what a TaskGroup raises."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _file(frame: FrameType, line: int) -> str:
    directory = _module(frame).replace(".", "/").rpartition("/")[0]
    return str(Path(directory, Path(frame.f_code.co_filename).name)) + f":{line}"
