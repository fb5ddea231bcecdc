"""Reading the configuration: file, then environment over it, then one report of all problems."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from postamt_sync.config.environment import FILE_VARIABLE, Environment
from postamt_sync.config.examine import examine, options
from postamt_sync.config.findings import ConfigFindings, Location
from postamt_sync.config.rules import apply_rules
from postamt_sync.config.settings import Settings
from postamt_sync.errors import ConfigurationError, Problem
from postamt_sync.events import printable
from postamt_sync.regular_file import read_small

DEFAULT_PATH = Path("/etc/postamt-sync/config.toml")


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of `path`, else of $POSTAMT_SYNC_CONFIG, else of the place in /etc.

    `environ` is the process's own if None. Nothing is created; links in paths are followed to
    compare them. Raises ConfigurationError with all the problems, in the order of the file.
    """
    variables = os.environ if environ is None else environ
    file = path or Path(variables.get(FILE_VARIABLE) or DEFAULT_PATH)
    source = printable(str(file))
    environment = Environment(variables)
    values, problem = _read(file, source, _searched(path, variables))
    if problem is not None:
        raise ConfigurationError(source, [problem, *environment.problems])

    merged = _completed(environment.over(values))
    findings = ConfigFindings(merged, environment.variables)
    apply_rules(examine(merged, findings), findings)
    problems = [*findings.problems(), *environment.problems]
    if problems:
        raise ConfigurationError(source, problems)
    return _settings(merged, str(file), _origins(values, environment.variables))


def _settings(values: Mapping[str, Any], source: str, origins: dict[str, str]) -> Settings:
    settings = Settings(**values)
    settings._source = source  # noqa: SLF001 - no option, so no field; set once, here
    settings._origins = origins  # noqa: SLF001
    return settings


def _searched(path: Path | None, variables: Mapping[str, str]) -> str:
    if path is not None:
        return "It was given with --config."
    if variables.get(FILE_VARIABLE):
        return f"It was given with ${FILE_VARIABLE}."
    return f"Neither --config nor ${FILE_VARIABLE} names another."


def _read(file: Path, source: str, searched: str) -> tuple[dict[str, Any], Problem | None]:
    example = f"postamt-sync bootstrap init --output {shlex.quote(source)}"
    try:
        text = read_small(file, links=True, pipes=True).decode("utf-8-sig")
    except FileNotFoundError:
        return {}, Problem(source, f"there is no such file. {searched}", example)
    except PermissionError:
        wrong = f"must be readable by user {os.geteuid()}, who runs this."
        return {}, Problem(source, wrong, f"sudo chgrp postamt-sync {source}")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return {}, Problem(f"line {line}", "must be UTF-8 text.")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path at all"
        return {}, Problem(source, f"cannot be read: {reason}. {searched}", example)
    try:
        return tomllib.loads(text), None
    except tomllib.TOMLDecodeError as error:
        return {}, _syntax_problem(str(error), text)


def _syntax_problem(message: str, text: str) -> Problem:
    """Say where and what; the line itself stays unshown, it may be a secret out of place."""
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if place is None:
        return Problem("syntax", f"is not TOML: {printable(message)}.")
    line = place[1] or str(len(text.splitlines()) or 1)
    column = f", column {place[2]}" if place[2] else ""
    what = printable(message[: place.start()], 120)
    return Problem(f"line {line}{column}", f"is not TOML: {what}.", 'option = "text in quotes"')


def _completed(values: dict[str, Any]) -> dict[str, Any]:
    """Fill in the two defaults that depend on other options."""
    completed = dict(values)
    if "webhook" not in completed and isinstance(completed.get("queue", {}), Mapping):
        completed["queue"] = {"long_poll": True, **completed.get("queue", {})}
    match completed.get("mailboxes"):
        case [Mapping() as only]:
            completed["mailboxes"] = [{"default": True, **only}]
    return completed


def _origins(values: Mapping[str, Any], variables: Mapping[Location, str]) -> dict[str, str]:
    origins: dict[str, str] = {}
    for key, _ in options():
        table, _, option = key.rpartition(".")
        exact = (table, option) if table else (option,)
        if variable := variables.get(exact) or variables.get((table,)):
            origins[key] = variable
        elif option in (values.get(table, {}) if table else values) or table == "mailboxes":
            origins[key] = "file"
    return origins
