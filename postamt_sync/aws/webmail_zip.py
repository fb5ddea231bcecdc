"""The webmail function's zip: the same bytes wherever and whenever it is built.

It contains what `webmail/lambda_front.py` imports of this package, and the packages that Lambda's
runtime lacks, as they are installed here, each in the one version that was tested.
"""

from __future__ import annotations

import ast
import base64
import functools
import hashlib
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from importlib.resources.abc import Traversable

from postamt_sync.aws.function_zip import archived
from postamt_sync.errors import MisconfiguredError

HANDLER = "postamt_sync.webmail.lambda_front.handle"
_OURS = "postamt_sync"


@dataclass(frozen=True, slots=True)
class PinnedPackage:
    """A pure Python package: its name in the package index, and the folder that is imported."""

    name: str
    version: str
    folder: str


PINNED = (
    PinnedPackage("justhtml", "3.16.0", "justhtml"),
    PinnedPackage("PyJWT", "2.15.1", "jwt"),
)
"""What ships with the function. pyproject.toml names the same versions."""

_COMPILED = (".so", ".pyd", ".dylib", ".dll")

Find = Callable[[str], Distribution]


@functools.cache
def webmail_zip() -> bytes:
    """Return the zip, about 1.2 MB.

    Raises MisconfiguredError if a package is not installed in exactly the pinned version.
    """
    return pack_webmail(resources.files(_OURS), distribution)


def pack_webmail(package: Traversable, find: Find) -> bytes:
    """Return the zip, from `package`, the sources of `postamt_sync`, and what `find` finds."""
    contents = needed_modules(package, HANDLER.rpartition(".")[0])
    for pinned in PINNED:
        contents |= _installed(pinned, find)
    return archived(contents)


def needed_modules(package: Traversable, first: str) -> dict[str, bytes]:
    """Return a module of ours and those it imports. All `__init__.py` are empty, because ours
    contains the version of postamt-sync."""
    found: dict[str, bytes] = {}
    wanted = [first]
    while wanted:
        parts = wanted.pop().split(".")
        name = "/".join(parts) + ".py"
        place = package.joinpath(*parts[1:-1], f"{parts[-1]}.py")
        if name in found or not place.is_file():
            continue  # it may be a package, or a name within a module
        for length in range(1, len(parts)):
            found["/".join([*parts[:length], "__init__.py"])] = b""
        found[name] = place.read_bytes()
        wanted += _names(ast.parse(found[name]))
    return found


def _names(tree: ast.AST) -> Iterator[str]:
    """Yield all imported names that may be modules of ours, except imports only for types."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            yield from _names(node)
            continue
        yield from (name for name in names if name.startswith(f"{_OURS}."))


def _installed(pinned: PinnedPackage, find: Find) -> dict[str, bytes]:
    """Return a package's modules, and its licence, which must accompany every copy."""
    try:
        found = find(pinned.name)
    except PackageNotFoundError:
        raise _refused(pinned, "is not installed") from None
    if found.version != pinned.version:
        raise _refused(pinned, f"is installed in version {found.version}")
    files = found.files or []
    if any(file.suffix in _COMPILED for file in files):
        source = f"--force-reinstall --no-binary {pinned.name}"
        raise _refused(pinned, "is installed in a compiled form", source)
    contents = {str(file): _read(pinned, file) for file in files if _is_shipped(file, pinned)}
    if f"{pinned.folder}/__init__.py" not in contents:
        raise _refused(pinned, "is not installed whole", "--force-reinstall")
    return contents


def _is_shipped(file: PackagePath, pinned: PinnedPackage) -> bool:
    if file.suffix == ".py":
        return file.parts[0] == pinned.folder
    return file.parts[0].endswith(".dist-info") and file.name.startswith("LICENSE")


def _read(pinned: PinnedPackage, file: PackagePath) -> bytes:
    """Return a file as it was installed. Raises MisconfiguredError if it was changed since."""
    try:
        content = file.read_binary()
    except OSError:
        raise _refused(pinned, "is not installed whole", "--force-reinstall") from None
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    if file.hash is None or (file.hash.mode, file.hash.value) != ("sha256", digest):
        raise _refused(pinned, f"was changed ({file.name})", "--force-reinstall")
    return content


def _refused(pinned: PinnedPackage, problem: str, how: str = "") -> MisconfiguredError:
    wanted = f"{pinned.name}=={pinned.version}"
    command = f"{shlex.quote(sys.executable)} -m pip install {how}".rstrip()
    return MisconfiguredError(
        f"The webmail's function ships {wanted}, and {pinned.name} {problem}.",
        f"Install the tested version with: {command} {wanted}",
    )
