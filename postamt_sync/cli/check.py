"""`postamt-sync check`: validates the configuration and shows the effective settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from postamt_sync.cli.in_force import complete, typed
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.cli.printed_json import print_json, problems_of
from postamt_sync.config import Settings, load
from postamt_sync.config.needed_files import lacking_files
from postamt_sync.config.toml import toml_value
from postamt_sync.errors import ConfigurationError, ExitCode
from postamt_sync.events import printable

MASK = "***"
COMMENT_COLUMN = 40
SECRET_URLS = {"heartbeat_url"}
"""Options whose URL has a secret path."""


def check(
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Validate the configuration and show the effective settings.

    The output is itself a valid file, with passwords masked; a comment says where
    a value comes from if not from the file. Changes nothing, and does not use the
    network. Exits 0; 3 if a file or directory that it names does not exist yet; 78
    if it is invalid, with all problems at once.

    \b
    Examples:
      postamt-sync check
      postamt-sync check --config ./config.toml
      POSTAMT_SYNC_POLL__INTERVAL=60 postamt-sync check --json
    """
    if json:
        return _check_as_json(config)
    settings = load(config)
    print(as_toml(settings))
    lacking = lacking_files(settings)
    print()
    for problem in lacking:
        print(f"# {problem.key}: {problem.wrong}")
        if problem.example:
            print(complete(f"#     Put it there, or: {problem.example}"))
    if lacking:
        return ExitCode.FINDINGS
    print(f"# All well. Next: {typed('sync')} --dry-run, then {typed('run')}")
    return ExitCode.OK


def _check_as_json(config: Path | None) -> ExitCode:
    try:
        settings = load(config)
    except ConfigurationError as error:
        print_json({"error": error.problem, "problems": problems_of(error)}, ensure_ascii=False)
        return error.exit_code
    lacking = [{"key": p.key, "wrong": p.wrong} for p in lacking_files(settings)]
    print_json(
        {"source": settings.source, "settings": effective(settings), "lacking": lacking},
        ensure_ascii=False,
    )
    return ExitCode.FINDINGS if lacking else ExitCode.OK


def effective(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain values, with passwords in URLs masked."""
    left_out = {"webhook"} if settings.webhook is None else set()  # the table is missing
    return {name: _plain(value) for name, value in settings if name not in left_out}


def as_toml(settings: Settings) -> str:
    """Render the settings as a file, with comments on values that come from elsewhere."""
    lines = [f"# {printable(settings.source)}"]
    for name, value in effective(settings).items():
        match value:
            case dict():
                lines += ["", f"[{name}]", *_options(settings, value, f"{name}.")]
            case [dict(), *_]:
                for entry in value:
                    lines += ["", f"[[{name}]]", *_options(settings, entry, f"{name}.")]
            case _:
                lines += _options(settings, {name: value}, "")
    grace = settings.effective_envelope_grace
    if grace != settings.delivery.envelope_grace:
        lines += ["", f"# envelope_grace is {grace:g} in effect: no source of envelopes is set."]
    return "\n".join(lines)


def _options(settings: Settings, values: dict[str, Any], table: str) -> list[str]:
    return [_option(name, value, settings.origin(table + name)) for name, value in values.items()]


def _option(name: str, value: Any, origin: str) -> str:
    line = f"{name} = {toml_value(value)}"
    return line if origin == "file" else f"{line:<{COMMENT_COLUMN}}  # {origin}"


def _plain(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool() | int() | float():
            return int(value) if isinstance(value, float) and value.is_integer() else value
        case tuple():
            return [_plain(item) for item in value]
        case _ if hasattr(type(value), "model_fields"):
            return {
                name: _without_path(option) if name in SECRET_URLS else _plain(option)
                for name, option in value
            }
        case _:
            return _masked(str(value))


def _masked(text: str) -> str:
    """Mask the password in a URL, and the user name too, which may be a secret."""
    if "://" not in text or "@" not in text:
        return text
    place = urlsplit(text).netloc
    credentials, at, _ = place.rpartition("@")
    return text.replace(f"{credentials}@", f"{MASK}@", 1) if at else text


def _without_path(url: str) -> str:
    """Mask everything in a URL except its scheme and host."""
    if not url:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{MASK}"
