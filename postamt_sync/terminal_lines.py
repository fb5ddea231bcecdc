"""Log lines for eyes: local time, as wide as the terminal, one line for each mail that came home.

What happens to a mail before it is there is shown at debug level; by which source it was heard of
stands in its one line.
"""

from __future__ import annotations

import datetime as dt
import shutil
import textwrap
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any

from postamt_sync.quantities import size_in_words, span

FOR_EYES = "_"
"""How the names of fields begin that no JSON line has."""
WIDEST, NARROWEST = 100, 40
ON_ITS_WAY = frozenset({"announced", "routed"})
MOST_REMEMBERED = 10_000
"""Mails whose source is remembered until they are delivered."""

_PLAIN, _DIM = "\x1b[0m", "\x1b[2m"
_MARKS = {"debug": "", "info": "", "warning": "warn", "error": "ERROR", "critical": "ERROR"}
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_INDENT = " " * 10


class TerminalLines:
    """Renders one event; "" is one that is not shown."""

    def __init__(self, *, colors: bool, every_step: bool) -> None:
        self._colors = colors
        self._every_step = every_step
        self._sources: OrderedDict[str, str] = OrderedDict()

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> str:
        fields = dict(event)
        when, level, name = (str(fields.pop(key)) for key in ("time", "level", "event"))
        if name == "announced":
            self._remember(str(fields.get("mail")), str(fields.get("source")))
        if name in ON_ITS_WAY and level == "info" and not self._every_step:
            return ""
        frames = fields.pop("exception", None)
        text = self._delivered(fields) if name == "delivered" else _described(name, fields)
        mark = _MARKS.get(level, level)
        body = f"{_local(when)}  {f'{mark}  ' if mark else ''}{text}"
        width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size((80, 24)).columns))
        lines = textwrap.wrap(body, width, subsequent_indent=_INDENT, break_on_hyphens=False) or [
            body
        ]
        shown = self._coloured("\n".join(lines), level, mark)
        return f"{shown}\n{frames}" if frames else shown

    def _remember(self, mail: str, source: str) -> None:
        self._sources.setdefault(mail, source)
        if len(self._sources) > MOST_REMEMBERED:
            self._sources.popitem(last=False)

    def _delivered(self, fields: dict[str, Any]) -> str:
        size, latency = fields.get("_size"), fields.get("latency")
        source = self._sources.get(str(fields.get("mail")), "")
        sender = f" from {fields['_sender']}" if fields.get("_sender") else ""
        parts = [f"mail{sender} for {fields.get('mailbox')}"]
        if size is not None:
            parts.append(size_in_words(int(size)))
        if latency is not None:
            took = float(latency)
            parts.append(f"{f'{took:.1f} s' if took < 60 else span(took)} after SES had it")
        if source:
            parts.append(f"by {source}")
        if self._every_step:
            parts.append(f"mail={fields.get('mail')}")
        return ", ".join(parts)

    def _coloured(self, text: str, level: str, mark: str) -> str:
        if not self._colors:
            return text
        time, rest = text[:8], text[8:]
        if mark:
            colour = _COLOURS.get(level, "")
            rest = rest.replace(mark, f"{colour}{mark}{_PLAIN}", 1)
        return f"{_DIM}{time}{_PLAIN}{rest}"


def _described(name: str, fields: dict[str, Any]) -> str:
    shown = {key: value for key, value in fields.items() if not key.startswith(FOR_EYES)}
    if not shown:
        return name
    return f"{name}: {' '.join(f'{key}={_value(value)}' for key, value in shown.items())}"


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "none"
    return str(value)


def _local(when: str) -> str:
    try:
        return dt.datetime.fromisoformat(when).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return when[:8]
