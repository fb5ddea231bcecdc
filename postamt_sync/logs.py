"""How log lines look: for eyes on a terminal, JSON everywhere else. What they say is in `events`.

The libraries' own logging is let through from WARNING on, whatever our level is: the debug lines
of botocore and aiohttp carry signatures, tokens and mail.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import PurePath
from typing import Any, TextIO

from postamt_sync.events import Events, printable
from postamt_sync.terminal_lines import FOR_EYES, TerminalLines
from postamt_sync.throttle import Throttle

# Its console renderer, which is not ours, would load rich where that is installed: a fifth of the
# daemon's start, and 5 MB of its memory.
_LOADED = "rich" in sys.modules
if not _LOADED:
    sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    if not _LOADED:
        del sys.modules["rich"]

LIBRARIES = ("aiohttp", "asyncio", "boto3", "botocore", "urllib3", "watchdog")
LONGEST_MESSAGE = 1000
"""Characters of a library's message that a line shows."""

_SECRET = re.compile(
    r"((?:signature|credential|token|secret\w*|password|accesskeyid)[\"']?\s*[=:]\s*[\"']?"
    r"|authorization[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic|aws4-hmac-sha256) )?|://(?=[^/\s@]*@))[^&\s\"'@,]+",
    re.IGNORECASE,
)
"""Values that open doors: in signed URLs, header lines, and before the @ of a URL."""

WORDS = frozenset({"reason", "reasons", "problem", "hint", "error", "detail"})
"""Fields of our own sentences, which may name a command."""

_JOURNAL_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Levels of syslog, RFC 5424 section 6.2.1."""


def configure_logging(
    *,
    json: bool | None = None,
    level: str = "info",
    stream: TextIO | None = None,
    words: Callable[[str], str] = str,
) -> Events:
    """Return the Events that write to `stream` (standard error if None), one line an event.

    `json` None means JSON unless the stream is a terminal. Written straight to systemd's journal,
    each line starts with its priority, which the journal takes off, so that `journalctl -p
    warning` works. A line that cannot be written is dropped: a full disk must not stop mail. The
    loggers of LIBRARIES are pointed at the same stream, a second call points them again; nothing
    else that is global changes. `words` makes our sentences ready for this
    process: it puts the options in force into the commands that they name.
    """
    lines = Lines(sys.stderr if stream is None else stream)
    as_json = not lines.is_terminal if json is None else json
    renderer = _Renderer(as_json, lines, every_step=level == "debug")
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        lines,
        processors=[*_COMMON, _worded(words), renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        cache_logger_on_first_use=False,
    ).bind()  # the lazy one would be made again for each line, also for those that nobody wants
    _adopt_libraries(logger, tracebacks=level == "debug")
    return Events(logger)


class Lines:
    """Where lines go: whole ones, from any thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.is_terminal = stream.isatty()
        self.is_journal = _is_journal(stream)

    def msg(self, line: str) -> None:
        """Write one line; where that fails there is nobody left to tell."""
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                return

    debug = info = warning = error = critical = msg


def _is_journal(stream: TextIO) -> bool:
    """Compare the stream with $JOURNAL_STREAM: children of a service inherit the variable."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _without_unknown(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in event.items() if value is not None}


_COMMON: list[structlog.typing.Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    _without_unknown,
]


def _worded(words: Callable[[str], str]) -> structlog.typing.Processor:
    def worded(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        for name in WORDS & event.keys():
            said = event[name]
            if isinstance(said, str):
                event[name] = words(said)
            elif isinstance(said, list):
                event[name] = [words(one) if isinstance(one, str) else one for one in said]
        return event

    return worded


class _Renderer:
    """Makes the line, time first."""

    def __init__(self, as_json: bool, lines: Lines, *, every_step: bool) -> None:
        self._journal = lines.is_journal
        colors = lines.is_terminal and not os.environ.get("NO_COLOR")
        self._render: structlog.typing.Processor = (
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
            if as_json
            else TerminalLines(colors=colors, every_step=every_step)
        )
        self._as_json = as_json

    def __call__(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
        level = event["level"]
        if self._as_json:
            for field in [field for field in event if field.startswith(FOR_EYES)]:
                del event[field]
        first = {key: event.pop(key) for key in ("time", "level", "event")}
        line = str(self._render(logger, name, {**first, **event}))
        if not line:
            raise structlog.DropEvent
        return f"<{_JOURNAL_PRIORITY[level]}>{line}" if self._journal else line


class _Adopted(logging.Handler):
    """Hands the lines of a library to ours, made safe; tracebacks only if they are asked for."""

    def __init__(self, logger: structlog.typing.FilteringBoundLogger, tracebacks: bool) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger
        self._tracebacks = tracebacks
        self._throttle = Throttle()

    def emit(self, record: logging.LogRecord) -> None:
        # A stranger may be what the library complains of.
        if not self._throttle.allows((record.name, record.pathname, record.lineno)):
            return
        say = self._logger.error if record.levelno >= logging.ERROR else self._logger.warning
        error = record.exc_info[1] if record.exc_info else None
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        say(_safe(message), library=record.name, **(self._told(error) if error else {}))

    def _told(self, error: BaseException) -> dict[str, str]:
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        told = {"error": _safe(f"{type(error).__name__}: {error}"), "where": where}
        if self._tracebacks:
            lines = "".join(traceback.format_exception(error)).splitlines()
            told["exception"] = "\n".join(map(_safe, lines))
        return told


def _safe(text: str) -> str:
    return printable(_SECRET.sub(r"\1***", text), LONGEST_MESSAGE)


def _adopt_libraries(logger: structlog.typing.FilteringBoundLogger, *, tracebacks: bool) -> None:
    for name in LIBRARIES:
        library = logging.getLogger(name)
        for handler in library.handlers[:]:
            if isinstance(handler, _Adopted):
                library.removeHandler(handler)
        library.setLevel(logging.WARNING)
        library.addHandler(_Adopted(logger, tracebacks))
