"""On a Raspberry Pi's processor, emulated: all that is compiled works, and mail comes home.

What is pure Python is the same everywhere, and takes an emulator ten times as long.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.doubles.s3 import S3Double
from tests.doubles.sns import Signer, body, private_key
from tests.end_to_end.home import Home
from tests.end_to_end.letters import put, sample_letters
from tests.host import arm64
from tests.host.debian import PYTHONS, needs_debian, put_checkout

pytestmark = [
    *needs_debian,
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # where the roots are to be made first
    pytest.mark.skipif(
        platform.machine() == "aarch64", reason="this machine is one: all tests run on it"
    ),
    pytest.mark.skipif(
        shutil.which(arm64.EMULATOR) is None, reason="not installed: apt install qemu-user-static"
    ),
]

COMPILED = """\
import importlib, pathlib, platform, sys

print(platform.machine(), "%d.%d" % sys.version_info[:2])
for path in pathlib.Path("/libraries").rglob("*.so"):
    place = path.relative_to("/libraries")
    importlib.import_module(".".join((*place.parent.parts, place.name.partition(".")[0])))
    print("compiled", place.parts[0].partition(".")[0])
"""
AT_WORK = """\
import aiohttp.http_parser, bcrypt
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from postamt_sync.cli.main import run
from postamt_sync.host.dovecot.passwd_files import hashed
from postamt_sync.intake.sns_message import read_message, verify

assert aiohttp.http_parser.HttpResponseParser is not aiohttp.http_parser.HttpResponseParserPy
assert bcrypt.checkpw(b"open sesame", hashed("open sesame").encode())
message = read_message(pathlib.Path("message.json").read_bytes())
verify(message, load_pem_public_key(pathlib.Path("key.pem").read_bytes()))
print("verified", message.message, flush=True)
sys.exit(run(["sync", "--json", "--config", "config.toml"]))
"""
LIBRARIES = ("aiohttp", "bcrypt", "cryptography", "markupsafe", "pydantic_core")
"""Those of whose wheels something is compiled for a processor, among others."""


@pytest.mark.parametrize("suite", PYTHONS)
def test_what_is_compiled_works_and_mail_comes_home(suite: str, tmp_path: Path) -> None:
    machine = arm64.root(suite)
    put_checkout(tmp_path)
    (tmp_path / "message.json").write_bytes(body(Signer().notification("truly")))
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    key = private_key().public_key().public_bytes(serialization.Encoding.PEM, spki)
    (tmp_path / "key.pem").write_bytes(key)
    with S3Double.in_thread() as s3:
        home = Home(tmp_path, s3.environment())
        letters = [one for _, one in sample_letters()]
        put(s3, *letters)
        script = arm64.IMPORT_ALL + COMPILED + AT_WORK
        done = arm64.python(machine, tmp_path, script, home.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    first, *compiled, verified, summary = done.stdout.splitlines()
    assert first == f"aarch64 {PYTHONS[suite]}"
    assert {f"compiled {name}" for name in LIBRARIES} <= set(compiled)
    assert verified == "verified truly"
    assert json.loads(summary)["delivered"] == len(letters)
    assert home.contents() == Counter(place for one in letters for place in one.expected())
