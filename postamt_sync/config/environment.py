"""Options from the environment: `POSTAMT_SYNC_POLL__INTERVAL=60`, lists and tables as JSON.

pydantic-settings reads each variable, one at a time: left to itself it passes over a mistyped
section in silence, and gives up at the first bad JSON.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from pydantic.fields import FieldInfo

from postamt_sync.config.examine import CREDENTIAL, is_credential, is_list, options, section_of
from postamt_sync.config.findings import Location
from postamt_sync.config.settings import ENVIRONMENT_DELIMITER, ENVIRONMENT_PREFIX, Settings
from postamt_sync.config.toml import toml_value
from postamt_sync.config.values import OneOrMany
from postamt_sync.errors import Problem
from postamt_sync.events import printable

FILE_VARIABLE = "POSTAMT_SYNC_CONFIG"
"""Names the file; no option of it."""

_HOST = re.compile(rf"{ENVIRONMENT_PREFIX}(?:\w+_)?(?:SERVICE_HOST|PORT_\d+_(?:TCP|UDP|SCTP)_ADDR)")
_NUMBER = re.compile(
    rf"{ENVIRONMENT_PREFIX}(?:\w+_)?"
    r"(?:SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)_PORT)"
)
_PROTOCOL = re.compile(rf"{ENVIRONMENT_PREFIX}(?:\w+_)?PORT_\d+_(TCP|UDP|SCTP)_PROTO")
_URL = re.compile(rf"{ENVIRONMENT_PREFIX}(?:\w+_)?PORT(?:_\d+_(?:TCP|UDP|SCTP))?")
_URL_VALUE = re.compile(r"(?:tcp|udp|sctp)://\S+:\d{1,5}")


class Environment:
    """The options that the environment sets, and what is wrong with its names and JSON."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.variables: dict[Location, str] = {}
        self.problems: list[Problem] = []
        self._read: list[tuple[Location, Any]] = []
        known = _known()
        ours = (n for n in environ if n.startswith(ENVIRONMENT_PREFIX) and n != FILE_VARIABLE)
        # A table given whole comes before its single options, which are more exact.
        for name in sorted(ours, key=lambda name: (name.count(ENVIRONMENT_DELIMITER), name)):
            if name in known:
                self._take(name, environ[name], *known[name])
            elif not is_of_kubernetes(name, environ[name]):
                self.problems.append(_unknown(name, known))

    def over(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `values` with what the environment sets laid over them."""
        merged = dict(values)
        for at, value in self._read:
            _put(merged, at, value)
        return merged

    def _take(self, name: str, text: str, at: Location, field: FieldInfo) -> None:
        value = text if OneOrMany in field.metadata else _read(name, text, at)
        if value is None:
            wrong = "must be JSON, and not null."
            self.problems.append(Problem(name, wrong, f"{name}='{_json(field)}'"))
            return
        self._read.append((at, value))
        self.variables[at] = name


def _read(name: str, text: str, at: Location) -> Any:
    from postamt_sync.config.variable import read  # noqa: PLC0415 - most set none, and it is dear

    return read(name, text, at)


def is_of_kubernetes(name: str, value: str) -> bool:
    """Tell whether Kubernetes has set this, for a Service whose name begins as our options do.

    Each container is told of the Services of its namespace (`POSTAMT_SYNC_SERVICE_HOST`,
    `POSTAMT_SYNC_PORT=tcp://10.0.0.1:8080`). The value must be of that kind too: a person who
    writes such a name means an option.
    """
    if _HOST.fullmatch(name):
        try:
            ip_address(value)
        except ValueError:
            return False
        return True
    if _NUMBER.fullmatch(name):
        return value.isascii() and value.isdecimal()
    if protocol := _PROTOCOL.fullmatch(name):
        return value == protocol[1].lower()
    return bool(_URL.fullmatch(name) and _URL_VALUE.fullmatch(value))


def _known() -> dict[str, tuple[Location, FieldInfo]]:
    known: dict[str, tuple[Location, FieldInfo]] = {}
    for top, field in Settings.model_fields.items():
        known[_name(top)] = ((top,), field)
    for key, field in options():
        top, _, option = key.partition(".")
        # An entry of a list of tables has no name of its own: the list comes whole, as JSON.
        if option and not _is_list_of_tables(top):
            known[_name(top, option)] = ((top, option), field)
    return known


def _is_list_of_tables(top: str) -> bool:
    field = Settings.model_fields[top]
    return is_list(field) and section_of(field) is not None


def _name(*steps: str) -> str:
    return ENVIRONMENT_PREFIX + ENVIRONMENT_DELIMITER.join(steps).upper()


def _unknown(name: str, known: Mapping[str, Any]) -> Problem:
    shown = printable(name, 80)
    if is_credential(name):
        return Problem(shown, *CREDENTIAL)
    return Problem(shown, f"is no option; {_advice(name, known)}")


def _advice(name: str, known: Mapping[str, Any]) -> str:
    for top in Settings.model_fields:
        if _is_list_of_tables(top) and name.upper().startswith(_name(top)):
            return f"the whole list stands in {_name(top)}, as JSON."
    near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.75)
    if near:
        return f"did you mean {near[0]}?"
    return "names are made like POSTAMT_SYNC_POLL__INTERVAL, two underscores inside."


def _json(field: FieldInfo) -> str:
    section = section_of(field)
    if section is None:
        return toml_value((field.examples or [""])[0])
    pairs = (
        f'"{name}": {toml_value(option.examples[0])}'
        for name, option in section.model_fields.items()
        if option.examples and option.is_required()
    )
    table = "{" + ", ".join(pairs) + "}"
    return f"[{table}]" if is_list(field) else table


def _put(values: dict[str, Any], at: Location, value: Any) -> None:
    """Set a value deep in tables that may be missing, leaving the original tables alone."""
    *tables, last = at
    for step in tables:
        below = values.get(str(step))
        values[str(step)] = values = dict(below) if isinstance(below, Mapping) else {}
    merged = values.get(str(last))
    if isinstance(merged, Mapping) and isinstance(value, Mapping):
        value = {**merged, **value}
    values[str(last)] = value
