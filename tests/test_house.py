"""Who may know whom: the rooms of the house, read from their imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.support.syntax import nodes

PACKAGE = Path(__file__).parents[1] / "postamt_sync"

GROUND = {
    "__init__",
    *(
        "atomic_file",
        "awaiting",
        "backoff",
        "errors",
        "events",
        "failures",
        "log_line",
        "logs",
        "throttle",
    ),
    *("owners_rights", "quantities", "regular_file", "terminal_lines", "threads", "unexpected"),
}
"""The only modules beside the rooms; every room but `mail` may import them."""

ROOMS = {
    "mail": set(),
    "aws": {"mail"},
    "bucket": {"aws", "mail"},
    "config": {"mail"},
    "http": {"config"},
    "ledger": {"mail"},
    "index": {"aws", "config", "ledger", "mail"},
    "intake": {"aws", "bucket", "config", "http", "ledger", "mail"},
    "delivery": {"bucket", "config", "ledger", "mail"},
    "status": {"bucket", "config", "delivery", "http", "index", "ledger", "mail"},
    "host": {"aws", "config", "ledger"},
    "bootstrap": {"aws", "config", "mail", "seal", "webmail"},
    "webmail": {"aws", "index", "mail"},
    "seal": {"index", "mail"},
    "alerts": {"aws", "config", "delivery", "ledger", "mail"},
    "recovery": {
        *("aws", "bucket", "config", "delivery", "index", "ledger", "mail"),
    },
    "doctor": {
        *("alerts", "aws", "bootstrap", "config", "delivery", "host", "ledger", "status"),
        "mail",
        "seal",
        "webmail",
    },
    "setup": {"aws", "bootstrap", "config", "host", "ledger"},
    "demo": {"aws", "bootstrap", "index", "mail"},
    "app": {
        *("alerts", "aws", "bucket", "config", "delivery", "index", "intake", "ledger", "mail"),
        *("recovery", "seal", "status"),
    },
}
"""Which other rooms each one may import; the map of it is in postamt_sync/README.md."""

CONTROL_PLANE = ("typer", "tenacity", "dns", "rich.progress", "rich.table", "pysequoia")
DEMO_AND_TESTS = ("moto", "flask", "werkzeug", "pytest")
NOT_FOR_THE_DAEMON = ("boto3", "s3transfer", "rich", "pygments", "multiprocessing")
"""5 MB and a tenth of a second each, for what botocore alone and structlog without colours do."""
ONLY_WHERE_NEEDED = (
    *("cryptography", "jinja2", "prometheus_client"),
    *("postamt_sync.recovery.rebuild", "postamt_sync.recovery.restore"),
)
"""For those whom SNS tells of mail, who serve a certificate, look at the page, or repair."""


def name_of(module: Path) -> str:
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


@cache
def nodes_of(module: Path) -> tuple[ast.AST, ...]:
    return tuple(nodes(module))


def imports(module: Path) -> set[str]:
    found: set[str] = set()
    for node in nodes_of(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@cache
def neighbours(module: str) -> frozenset[str]:
    """Return the modules of ours that a module imports."""
    ours = (name.partition(".")[2] for name in imports(MODULES[module]) if "postamt_sync." in name)
    return frozenset(name for name in ours if name in MODULES)


def room_of(module: str) -> str:
    first = module.partition(".")[0]
    return "ground" if first in GROUND or not first else first


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return a way that leads back to where it began, [] if there is none."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return way[way.index(node) :]
        if node in done:
            return []
        for following in sorted(graph[node]):
            if found := walk(following, [*way, node]):
                return found
        done.add(node)
        return []

    for start in sorted(graph):
        if found := walk(start, []):
            return found
    return []


def test_every_module_is_in_a_room_that_is_on_the_map() -> None:
    rooms = {room_of(module) for module in MODULES} - {"ground", "cli", "__main__"}
    assert rooms == set(ROOMS)


@pytest.mark.parametrize("page", ["postamt_sync/README.md", "tests/README.md"])
def test_every_file_that_a_map_names_is_there(page: str) -> None:
    root = PACKAGE.parent
    text = (root / page).read_text()
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w-]+\.(?:py|md|html|js|toml))`", text))
    assert len(named) > 30
    # A path begins at the root, at the package, or at bootstrap/ where the map is there already.
    bases = (root, PACKAGE, PACKAGE / "bootstrap")
    assert {name for name in named if not any((base / name).exists() for base in bases)} == set()


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_no_other_rooms_than_the_map_says(room: str) -> None:
    for module in MODULES:
        if room_of(module) == room:
            known = {room_of(name) for name in neighbours(module)} - {room, "ground"}
            assert known <= ROOMS[room], module


def test_the_map_allows_nothing_that_no_module_needs() -> None:
    for room, allowed in ROOMS.items():
        used = {
            room_of(name)
            for module in MODULES
            if room_of(module) == room
            for name in neighbours(module)
        }
        assert allowed <= used, room


def test_the_ground_knows_no_room() -> None:
    for module in MODULES:
        if room_of(module) == "ground":
            assert {room_of(name) for name in neighbours(module)} <= {"ground"}, module


def test_there_is_no_circle_of_rooms() -> None:
    assert circle(ROOMS) == []


def test_there_is_no_circle_of_modules() -> None:
    assert circle({module: set(neighbours(module)) - {module} for module in MODULES}) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_no_module_is_longer_than_320_lines() -> None:
    lines = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name for name, count in lines.items() if count > 320} == set()


@pytest.mark.slow
def test_the_daemon_loads_nothing_of_the_demo_or_the_command_line() -> None:
    """Memory and start time count on a small machine."""
    listing = "import sys, postamt_sync.app.daemon; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", listing],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for heavy in (
        *CONTROL_PLANE,
        *DEMO_AND_TESTS,
        *NOT_FOR_THE_DAEMON,
        *ONLY_WHERE_NEEDED,
    ):
        assert heavy not in loaded, heavy


def test_no_test_patches_what_it_could_pass_in() -> None:
    for module in (PACKAGE.parent / "tests").rglob("*.py"):
        if "unittest" not in module.read_text():
            continue  # to read it as Python takes a hundred times as long
        assert not {name for name in imports(module) if name.startswith("unittest")}, module


PROSE = {"problem", "hint", "message", "words", "detail", "reason", "remedy"}
"""Names of what is written for people."""


def is_prose(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in PROSE
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id=name)]):
            return name in {"error", "exc", "e"}
        case ast.Call(func=ast.Attribute(attr="lower" | "casefold" | "strip", value=value)):
            return is_prose(value)
        case ast.Subscript(value=value):
            return is_prose(value)
    return False


def texts(node: ast.expr) -> list[str]:
    """Return the texts that an expression consists of, leaving out the empty one."""
    match node:
        case ast.Constant(value=str(text)) if text:
            return [text]
        case ast.Set(elts=elements) | ast.Tuple(elts=elements) | ast.List(elts=elements):
            return [text for element in elements for text in texts(element)]
    return []


def decisions_by_prose(module: Path) -> list[str]:
    """Return the texts that are looked for in what is written for people."""
    found: list[str] = []
    for node in nodes_of(module):
        match node:
            case ast.Compare(left=left, comparators=[right]):
                sought = texts(left) if is_prose(right) else texts(right) if is_prose(left) else []
                found += sought
            case ast.Call(
                func=ast.Attribute(
                    attr="startswith"
                    | "endswith"
                    | "find"
                    | "index"
                    | "count"
                    | "split"
                    | "partition"
                    | "rpartition"
                    | "removeprefix"
                    | "removesuffix",
                    value=value,
                ),
                args=[sought, *_],
            ) if is_prose(value):
                found += texts(sought)
            case ast.Match(subject=subject, cases=cases) if is_prose(subject):
                found += [
                    text
                    for case in cases
                    if isinstance(case.pattern, ast.MatchValue)
                    for text in texts(case.pattern.value)
                ]
    return found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('"newer" in error.problem', ["newer"]),
        ('" expired on " in words', [" expired on "]),
        ('any("sandbox" in note.message for note in notes)', ["sandbox"]),
        ('"different" not in str(error).lower()', ["different"]),
        ('error.problem == "gone"', ["gone"]),
        ('found.reason in {"a", "b"}', ["a", "b"]),
        ('str(error).split(" is ")[0]', [" is "]),
        ('error.hint.startswith("Try")', ["Try"]),
        ('error.problem == ""', []),
        ("error.problem and key in error.mails", []),
    ],
)
def test_decisions_by_prose_are_found(tmp_path: Path, code: str, found: list[str]) -> None:
    module = tmp_path / "module.py"
    module.write_text(code)
    assert decisions_by_prose(module) == found


def test_nothing_is_decided_by_what_is_written_for_people() -> None:
    """A type, an enum or a field says it: a sentence may be worded better any day."""
    found = {
        (module.relative_to(PACKAGE).as_posix(), text)
        for module in PACKAGE.rglob("*.py")
        for text in decisions_by_prose(module)
    }
    assert found == set()


def test_no_two_classes_have_one_name() -> None:
    """Two things of one name are one too many to keep apart."""
    places: dict[str, list[str]] = {}
    for module in sorted(PACKAGE.rglob("*.py")):
        for node in nodes_of(module):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(module.relative_to(PACKAGE)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


LONG = 500
"""Characters of a body as `ast.dump` writes it: some four lines."""
STAND_TWICE = {
    "_say": "two functions at AWS, neither of which ships the other's files",
}
"""Functions that have a brother of the same body, and why."""


@pytest.mark.slow
def test_no_function_stands_twice() -> None:
    """What two modules do alike, one of them does, and the other imports."""
    places: dict[str, list[str]] = {}
    for module in sorted(PACKAGE.rglob("*.py")):
        for node in nodes_of(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                has_docstring = ast.get_docstring(node) is not None
                body = ast.dump(ast.Module(node.body[has_docstring:], []))
                if len(body) >= LONG and node.name not in STAND_TWICE:
                    where = f"{module.relative_to(PACKAGE)} {node.name}"
                    places.setdefault(body, []).append(where)
    assert [where for where in places.values() if len(where) > 1] == []
