"""Checking values against the models, option by option, so that one mistake hides no other.

pydantic stops at the first level that fails and skips what compares options; here each option is
read alone, and what could be read is handed on for the rules.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from postamt_sync.config.findings import ConfigFinding, ConfigFindings, Location
from postamt_sync.config.section import Section
from postamt_sync.config.settings import Settings
from postamt_sync.config.toml import toml_value

_CREDENTIAL = re.compile(
    r"secret|password|passwd|credential|token|access_?key|api_?key", re.IGNORECASE
)

CREDENTIAL = (
    (
        "is no option: credentials never stand here, the AWS SDK finds them by itself. "
        "Take it out; if others could read it, make a new key."
    ),
    "~/.aws/credentials, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
)
"""What is wrong with a credential among the options, and an example of right."""

_SENTENCES = {
    "string_type": "must be text in quotes.",
    "path_type": "must be a path in quotes.",
    "bool_type": "must be true or false.",
    "bool_parsing": "must be true or false.",
    "int_type": "must be a whole number.",
    "int_parsing": "must be a whole number.",
    "int_parsing_size": "must be a whole number.",
    "int_from_float": "must be a whole number.",
    "float_type": "must be a number.",
    "float_parsing": "must be a number.",
    "finite_number": "must be a number.",
    "tuple_type": "must be a list in [ ].",
    "greater_than_equal": "must be at least {ge:g}.",
    "less_than_equal": "must be at most {le:g}.",
    "literal_error": "must be {expected}.",
    "too_short": "must not be empty.",
}


def examine(values: Mapping[str, Any], findings: ConfigFindings) -> Settings:
    """Return the options that could be read; those that could not are missing attributes.

    The result is for the rules only. What is wrong is added to `findings`.
    """
    return cast("Settings", _examine_table(Settings, values, (), findings))


def options(
    model: type[BaseModel] = Settings, at: Location = ()
) -> Iterator[tuple[str, FieldInfo]]:
    """Yield every option with its dotted key; those of a list of tables stand below its name."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is None:
            yield ".".join(map(str, (*at, name))), field
        else:
            yield from options(section, (*at, name))


def is_credential(name: str) -> bool:
    """Tell whether an unknown name is one for a secret; its value must then never be shown."""
    return _CREDENTIAL.search(name) is not None


def section_of(field: FieldInfo) -> type[Section] | None:
    """Return the table that this option is, or is a list of; None for a plain value."""
    kinds = [field.annotation, *get_args(field.annotation)]
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, Section)), None)


def is_list(field: FieldInfo) -> bool:
    """Tell lists from single values; an optional value is single."""
    return get_origin(field.annotation) is tuple


def example_of(name: str, field: FieldInfo) -> str:
    """Return a right line for the file; a table's is the line that opens it."""
    if section_of(field) is not None:
        return f"[[{name}]]" if is_list(field) else f"[{name}]"
    return f"{name} = {toml_value(field.examples[0])}" if field.examples else ""


def _examine_table(
    model: type[BaseModel], raw: Mapping[str, Any], at: Location, findings: ConfigFindings
) -> BaseModel:
    read: dict[str, Any] = {}
    unread: list[str] = []
    for name, field in model.model_fields.items():
        if name not in raw:
            if field.is_required():
                findings.add(ConfigFinding((*at, name), "is missing.", example_of(name, field)))
                unread.append(name)
            continue
        before = len(findings.found)
        value = _examine_option(model, name, raw[name], (*at, name), findings)
        if value is not None or len(findings.found) == before:
            read[name] = value
        else:
            unread.append(name)
    for name in raw:
        if name not in model.model_fields:
            findings.add(_unknown(name, model, at))
    table = model.model_construct(**read)
    for name in unread:
        table.__dict__.pop(name, None)
    return table


def _examine_option(
    model: type[BaseModel], name: str, raw: Any, at: Location, findings: ConfigFindings
) -> Any | None:
    field = model.model_fields[name]
    section = section_of(field)
    if section is None:
        return _examine_value(model, name, raw, at, findings)
    if not is_list(field):
        if isinstance(raw, Mapping):
            return _examine_table(section, raw, at, findings)
        findings.add(ConfigFinding(at, "must be a table.", example_of(name, field)))
        return None
    if not isinstance(raw, list) or not all(isinstance(item, Mapping) for item in raw):
        findings.add(
            ConfigFinding(at, "must be a list of tables, double brackets.", example_of(name, field))
        )
        return None
    return tuple(
        _examine_table(section, item, (*at, number), findings) for number, item in enumerate(raw)
    )


@functools.cache
def _reader(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Return what reads one option: to make it takes much longer than to read."""
    field = model.model_fields[name]
    kind: Any = (
        Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    )
    return TypeAdapter(kind)


def _examine_value(
    model: type[BaseModel], name: str, raw: Any, at: Location, findings: ConfigFindings
) -> Any | None:
    try:
        return _reader(model, name).validate_python(raw)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        for details in errors:
            if details["type"] == "too_short" and len(errors) > 1:
                continue  # bad items count as none
            findings.add(
                ConfigFinding(
                    (*at, *details["loc"]),
                    _sentence(details),
                    example_of(name, model.model_fields[name]),
                )
            )
        return None


def _sentence(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    if details["type"] == "value_error":
        return str(context["error"])
    template = _SENTENCES.get(details["type"], "cannot be read.")
    return template.format(**context).replace("'", '"')


def _unknown(name: str, model: type[BaseModel], at: Location) -> ConfigFinding:
    here = (*at, name)
    if is_credential(name):
        return ConfigFinding(here, *CREDENTIAL)
    meant = _meant(name, model, at)
    if meant:
        return ConfigFinding(here, f"is no option; did you mean {meant}?")
    return ConfigFinding(here, f"is no option; here belong: {', '.join(model.model_fields)}.")


def _meant(name: str, model: type[BaseModel], at: Location) -> str | None:
    """Guess the option: a like name in this table first, then the same name in another one."""
    near = difflib.get_close_matches(name.lower(), model.model_fields, n=1, cutoff=0.6)
    if near:
        return near[0]
    elsewhere = [key for key, _ in options() if key.rpartition(".")[2] == name]
    if not elsewhere:
        return None
    table, _, option = elsewhere[0].rpartition(".")
    if table:
        return f"{option} in the table {table}"
    return f"{option} above the first table" if at else option
