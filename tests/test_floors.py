"""What we say will do: every package that is imported is named, and the floors hold their reasons.

`.ci/floors` runs this with the lowest releases, `tests/run` with the newest.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.syntax import nodes

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [
    Requirement(line) for extra in PROJECT["optional-dependencies"].values() for line in extra
]
BROUGHT_ALONG = {"pydantic-core"}
"""Pinned to one release by the package that brings it."""

REASONS = {
    "aiohttp": ("3.14.1", "older ones queue pipelined requests without a bound"),
    "boto3": ("1.42.70", "BucketNamespace, with the botocore that it needs"),
    "botocore": ("1.42.70", "BucketNamespace"),
    "cryptography": ("48.0.1", "the OpenSSL in older wheels has known holes"),
    "dnspython": ("2.9", "older ones give up where a stranger answers first"),
    "idna": ("3.15", "older ones work for long on names that are too long"),
    "jinja2": ("3.1.6", "older ones have known holes"),
    "structlog": ("25.5", "pad_event_to"),
}


def floor(requirement: Requirement) -> Version:
    (lowest,) = (s.version for s in requirement.specifier if s.operator in {">=", "=="})
    return Version(lowest)


@pytest.mark.parametrize("name", REASONS)
def test_a_floor_does_not_sink_below_its_reason(name: str) -> None:
    (requirement,) = (r for r in NEEDED if canonicalize_name(r.name) == name)
    lowest, reason = REASONS[name]
    assert floor(requirement) >= Version(lowest), reason


def test_everything_named_has_a_floor_and_is_installed_above_it() -> None:
    for requirement in (*NEEDED, *EXTRAS):
        if requirement.name != PROJECT["name"]:
            assert Version(version(requirement.name)) >= floor(requirement), requirement


def test_s3_can_be_asked_for_a_bucket_in_the_account_s_own_namespace() -> None:
    model = botocore.session.Session().get_service_model("s3")
    members = model.operation_model("CreateBucket").input_shape.members
    assert "account-regional" in members["BucketNamespace"].enum


@pytest.mark.slow
def test_what_is_imported_is_named() -> None:
    owners = packages_distributions()
    named = {canonicalize_name(r.name) for r in (*NEEDED, *EXTRAS)} | BROUGHT_ALONG
    imported = {
        canonicalize_name(owner)
        for module in third_party(ROOT / "postamt_sync")
        for owner in owners[module]
    }
    assert imported - named == set()


def third_party(package: Path) -> set[str]:
    """Return the top-level modules of others that a package imports when it runs."""
    found = set()
    for path in package.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    stubs = {module for module in found if re.match("types_", module)}
    return found - sys.stdlib_module_names - stubs - {package.name}
