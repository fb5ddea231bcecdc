"""What `--json` prints, by verb: described here once, for people (`help json`) and programs.

`python -m postamt_sync.cli.json_schemas` prints the topic `json`. Tests make sure that the topic
agrees with this, and this with what the verbs print.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from postamt_sync.cli.json_schemas.everyday import CHECK, FIND, SYNC
from postamt_sync.cli.json_schemas.kinds import Schema
from postamt_sync.cli.json_schemas.repairing import (
    FINDINGS,
    KNOWN_MAIL,
    QUARANTINE,
    REBUILD,
    RESTORE,
    VERIFY,
)
from postamt_sync.cli.json_schemas.setting_up import (
    CLIENTS,
    COST,
    DNS_RECORDS,
    ERROR,
    PLAN,
    SEAL_KEYS,
)
from postamt_sync.cli.json_schemas.status import STATUS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS: dict[str, Schema] = {
    "status": STATUS,
    "find": FIND,
    "sync": SYNC,
    "check": CHECK,
    "doctor": FINDINGS,
    "verify": VERIFY,
    "restore": RESTORE,
    "rebuild": REBUILD,
    "quarantine list": QUARANTINE,
    "quarantine show": KNOWN_MAIL,
    "client": CLIENTS,
    "bootstrap plan": PLAN,
    "bootstrap verify": FINDINGS,
    "bootstrap cost": COST,
    "bootstrap dns": DNS_RECORDS,
    "seal check": SEAL_KEYS,
}
"""The schema of each verb's output."""

_FORMATS = {"client", "bootstrap dns"}
"""Verbs that print several formats, one of which is JSON."""

INTRODUCTION = """\
# JSON: what --json prints, and what of it stays

Each command that takes `--json` (`client` and `bootstrap dns`: `--format json`) prints one JSON
value on standard output, whatever happens; words for people go to standard error.
`postamt-sync help json VERB` prints the JSON Schema (2020-12) of a verb, as in
`postamt-sync help json bootstrap plan`.

**What is promised.** A key listed here keeps its name, its type and its meaning, and is there
every time (unless it says *now and then*). Keys may be added, and words in a value: ignore
what you do not know. Sentences (`problem`, `words`, `text`, `detail`, `hint`) are for people, and
may change. A breaking change would be in the changelog, with a new major version.

Times are ISO 8601 in UTC, durations are seconds, sizes are bytes, money is US dollars. The exit
code says how it went, as without `--json`.
"""
LOG_LINES = """\
## Log lines

Where standard error is not a terminal, the daemon and `sync` write one JSON object a line: `time`,
`level`, `event`, and what belongs to the event. `mail` is the id of a mail, the same in all its
lines. What is promised above holds for the names of events and of their fields too.
"""


def flag_of(verb: str) -> str:
    """Return the option that makes a verb print JSON."""
    return "--format json" if verb in _FORMATS else "--json"


def schema_of(verb: str) -> dict[str, Any]:
    """Return the complete schema of a verb's output, which may be an error."""
    answer = SCHEMAS[verb]
    return {
        "$schema": DIALECT,
        "title": f"postamt-sync {verb} {flag_of(verb)}",
        "anyOf": [answer, ERROR],
    }


def as_markdown() -> str:
    """Return the topic `json`."""
    lines = [INTRODUCTION]
    alike: dict[int, str] = {}
    for verb, schema in SCHEMAS.items():
        lines.append(f"## {verb}\n")
        if (first := alike.setdefault(id(schema), verb)) != verb:
            lines.append(f"As `{first}`.\n")
            continue
        lines.append(f"{_sentence(schema['description'])}\n")
        lines += _keys(schema, "")
        lines.append("")
    lines.append("## When there is no answer\n")
    lines.append("A command that cannot do its work says why, and exits with 64 or more:\n")
    lines += _keys(ERROR, "")
    return "\n".join([*lines, "", LOG_LINES])


def _keys(schema: Schema, indent: str) -> Iterator[str]:
    if "items" in schema:
        schema = schema["items"]
    for key, below in schema.get("properties", {}).items():
        rare = "" if key in schema["required"] else ", now and then"
        yield f"{indent}- `{key}` ({_kind(below)}{rare}): {below['description']}"
        yield from _keys(below, f"{indent}  ")


def _kind(schema: Schema) -> str:
    kind = schema.get("type", "any")
    name = kind if isinstance(kind, str) else kind[0]
    if schema.get("format") == "date-time":
        return "time"
    if name == "array":
        inner = schema["items"].get("type")
        return "list of objects" if inner == "object" else f"list of {inner}s"
    return {"integer": "count"}.get(name, name)


def _sentence(means: str) -> str:
    return f"{means[0].upper()}{means[1:]}."
