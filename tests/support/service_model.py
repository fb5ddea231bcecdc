"""What AWS's own descriptions of its services say of a call, more strictly than botocore does.

botocore looks at names, types and what is required; lengths, patterns and enumerations, which are
in its models too, it leaves to the service. What the models leave out is in `DOCUMENTED`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

DOCUMENTED: dict[tuple[str, str], str] = {
    # Service and member; from the API References, and "Quotas" or "Limits" of each guide.
    ("s3", "Bucket"): (
        r"(?!xn--|sthree-|amzn-s3-demo-)(?!.*(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$)"
        r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]"
    ),
    ("sns", "Name"): r"[A-Za-z0-9_-]{1,256}",
    ("sqs", "QueueName"): r"[A-Za-z0-9_-]{1,80}",
    ("dynamodb", "TableName"): r"[A-Za-z0-9_.-]{3,255}",
    ("lambda", "FunctionName"): r"[A-Za-z0-9_-]{1,64}",
    ("ses", "RuleName"): r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?",
    ("ses", "After"): r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?",
    ("ses", "RuleSetName"): r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?",
    ("ses", "Rule.Name"): r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?",
    ("iam", "UserName"): r"[\w+=,.@-]{1,64}",
    ("iam", "RoleName"): r"[\w+=,.@-]{1,64}",
    ("iam", "PolicyName"): r"[\w+=,.@-]{1,128}",
}

_CLASSES = {r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s", r"\p{M}": "", r"\p{P}": r"!-/:-@"}


def faults(operation: OperationModel, parameters: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a call, in words; nothing where the service would take it."""
    shape = operation.input_shape
    if shape is None:
        return [f"unknown: {name}" for name in parameters]
    report = ParamValidator().validate(dict(parameters), shape)
    found = [report.generate_report()] if report.has_errors() else []
    return [*found, *_faults(operation.service_model.service_name, shape, parameters, "")]


def faults_of(service: str, method: str, parameters: Mapping[str, Any]) -> list[str]:
    """The same for a method of boto3, in the models that are installed."""
    for name, python in _operations(service).items():
        if python == method:
            return faults(_model(service).operation_model(name), parameters)
    return [f"{service} has no {method}"]


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.Session().get_service_model(service)


@functools.cache
def _operations(service: str) -> dict[str, str]:
    return {name: botocore.xform_name(name) for name in _model(service).operation_names}


def _faults(service: str, shape: Shape, value: Any, place: str) -> Iterator[str]:
    for inner, below, where in _inner(shape, value, place):
        yield from _faults(service, inner, below, where)
    match shape.type_name:
        case "string":
            yield from _text(service, shape, str(value), place)
        case "list" | "map" | "blob":
            yield from _length(shape, len(value), place)
        case "integer" | "long":
            yield from _range(shape, int(value), f"{place} is {value}")


def _inner(shape: Shape, value: Any, place: str) -> Iterator[tuple[Shape, Any, str]]:
    """Yield what is within a value: its shape, itself, and where it stands."""
    match shape.type_name:
        case "structure":
            for name in value.keys() & shape.members.keys():
                yield shape.members[name], value[name], f"{place}.{name}" if place else name
        case "list":
            for each in value:
                yield shape.member, each, place
        case "map":
            for name, each in value.items():
                yield shape.key, name, f"{place}[key]"
                yield shape.value, each, f"{place}[{name}]"


def _text(service: str, shape: Shape, value: str, place: str) -> Iterator[str]:
    yield from _length(shape, len(value), place)
    options = getattr(shape, "enum", None) or []
    if options and value not in options:
        yield f"{place} is {value}, not one of {', '.join(options)}"
    patterns = [shape.metadata.get("pattern", ""), DOCUMENTED.get((service, place), "")]
    for pattern in filter(None, patterns):
        if not re.fullmatch(_python(pattern), value, re.DOTALL):
            yield f"{place} is {value!r}, which does not match {pattern}"


def _length(shape: Shape, length: int, place: str) -> Iterator[str]:
    yield from _range(shape, length, f"{place} has a length of {length}")


def _range(shape: Shape, number: int, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and number < least:
        yield f"{what}, less than {least}"
    if most is not None and number > most:
        yield f"{what}, more than {most}"


@functools.cache
def _python(pattern: str) -> str:
    """Write a pattern as Python's re can read it."""
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    return pattern
