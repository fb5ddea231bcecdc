"""The index function's zip: the same bytes wherever and whenever it is built.

So its hash shows whether the function at AWS is current, and nothing is updated needlessly. Times
and modes are fixed, files are in order of their names, and nothing is compressed, because zlib
versions differ. All `__init__.py` are empty, because ours contains the version of postamt-sync.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable

_EARLIEST = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_READABLE_BY_ALL = 0o100644 << 16

_PACKAGES = ("postamt_sync", "postamt_sync/aws", "postamt_sync/index")
_AWS = ("aes_gcm.py", "data_keys.py")
_INDEX = (
    *("entry.py", "entry_item.py", "entry_update.py", "function.py", "invocation_event.py"),
    *("item.py", "list_facts.py", "lists.py", "notice_values.py", "stored_head.py", "summary.py"),
)


def index_zip() -> bytes:
    """Return the zip of the index function, about 60 KB."""
    return pack(resources.files("postamt_sync"))


def pack(package: Traversable) -> bytes:
    """Return the zip of the index function, from `package`, the sources of `postamt_sync`."""
    contents = {f"{name}/__init__.py": b"" for name in _PACKAGES}
    contents |= dict(_modules(package / "mail", "postamt_sync/mail"))
    for room, names in (("aws", _AWS), ("index", _INDEX)):
        for name in names:  # the other modules need more than a function has
            contents[f"postamt_sync/{room}/{name}"] = (package / room / name).read_bytes()
    return archived(contents)


def archived(contents: Mapping[str, bytes]) -> bytes:
    """Return a reproducible zip with these files, by name."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, content in sorted(contents.items()):
            info = zipfile.ZipInfo(name, _EARLIEST)
            info.create_system = _UNIX
            info.external_attr = _READABLE_BY_ALL
            file.writestr(info, content)
    return archive.getvalue()


def _modules(package: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for module in package.iterdir():
        if module.name.endswith(".py"):
            yield f"{name}/{module.name}", module.read_bytes()
