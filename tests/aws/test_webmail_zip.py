"""The zip of the webmail's function: it runs with nothing but boto3 beside it, and is refused where
it would be another than was tried."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

import postamt_sync
from postamt_sync.aws.webmail_zip import HANDLER, PINNED, pack_webmail, webmail_zip
from postamt_sync.errors import MisconfiguredError
from postamt_sync.webmail.function_settings import FunctionSettings
from postamt_sync.webmail.key_ring import SECRET_HEADER, KeyRing
from postamt_sync.webmail.record_table import DynamoRecordTable
from postamt_sync.webmail.users import WebmailUsers
from tests.aws.lambda_runtime import BESIDE, Function, lay_beside
from tests.doubles.moto import Moto
from tests.doubles.webmail import HANDED, SECRET

HOST = "webmail.example.com"
SOURCE = Path(postamt_sync.__file__).parent


def unpacked() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(webmail_zip()))


class Webmail:
    """What the function finds at AWS: its tables, its keys, its bucket with a mail, and anna."""

    def __init__(self, cloud: Moto) -> None:
        name = f"postamt-{uuid.uuid4().hex[:12]}"
        self.settings = FunctionSettings(
            host=HOST,
            table=f"{name}-webmail",
            index=name,
            lists=f"{name}-lists",
            bucket=name,
            prefix="incoming/",
            recent_prefix="recent/",
            day_bucket=f"{name}-site",
            day_prefix="day/",
            session_keys=f"/{name}/webmail/session-keys",
            device_keys=f"/{name}/webmail/device-keys",
            origin_secret=f"/{name}/webmail/origin-secret",
        )
        self.rings = {parameter: KeyRing.new() for parameter in self.settings.parameters}
        for parameter, ring in self.rings.items():
            cloud.client("ssm").put_parameter(
                Name=parameter, Value=ring.to_text(), Type="SecureString"
            )
        dynamodb = cloud.client("dynamodb")
        cloud.make_table(name)
        cloud.make_bucket(name)
        cloud.make_records(self.settings.table)
        dynamodb.create_table(
            TableName=self.settings.lists,
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": "S"} for key in ("list", "line")
            ],
            KeySchema=[
                {"AttributeName": "list", "KeyType": "HASH"},
                {"AttributeName": "line", "KeyType": "RANGE"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        routes = {
            "list": {"S": "#routes"},
            "line": {"S": "#"},
            "version": {"S": "1"},
            "routes": {"S": HANDED.to_json()},
        }
        dynamodb.put_item(TableName=self.settings.lists, Item=routes)
        WebmailUsers(DynamoRecordTable(dynamodb, self.settings.table), time.time).add(
            "anna", SECRET
        )
        self.environment = {**cloud.environment, **self.settings.environment}
        self.environment["AWS_REGION"] = cloud.environment["AWS_DEFAULT_REGION"]

    def event(self, method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        secret = self.rings[self.settings.origin_secret].words[0]
        return {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {
                "x-postamt-origin": secret,
                "cloudfront-viewer-address": "192.0.2.7:4711",
                **headers,
            },
            "requestContext": {"http": {"method": method, "path": path}},
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }

    def sign_in(self, **headers: str) -> dict[str, Any]:
        ours = {"origin": f"https://{HOST}", "content-type": "application/json", **headers}
        body = {"mailbox": "anna", "secret": SECRET}
        return self.event("POST", "/api/sign-in", body, **ours)


@pytest.mark.slow
def test_a_sign_in_is_answered_with_only_boto3_beside_it(
    cloud: Moto, python: str, tmp_path: Path
) -> None:
    webmail = Webmail(cloud)
    code = tmp_path / "code"
    unpacked().extractall(code)
    beside = lay_beside(tmp_path / "runtime")
    function = Function(python, code, beside, HANDLER, webmail.environment)
    refused = webmail.sign_in(**{SECRET_HEADER: KeyRing.new().words[0]})
    ran = function.run(
        webmail.sign_in(), refused, webmail.event("GET", "/api/session"), {}, None, [1]
    )
    said = [(answer["statusCode"], json.loads(answer["body"])) for answer in ran.answers]
    assert [status for status, _ in said] == [200, 403, 401, 403, 403, 403]
    assert said[0][1]["mailbox"] == "anna"
    assert len(ran.answers[0]["cookies"]) == 2
    assert ran.log == []
    ours = {pinned.folder for pinned in PINNED}
    assert set(ran.packages) <= {"postamt_sync", *BESIDE, *ours}
    if python != sys.executable:
        assert ran.version == [3, 13]
    # In another process, as if Lambda had thrown the first one away: the cookie is still good.
    (session, device) = (each.partition(";")[0] for each in ran.answers[0]["cookies"])
    cookies = {"cookies": [session, device]}
    again = function.run(
        {**webmail.event("GET", "/api/session"), **cookies},
        {**webmail.event("GET", "/api/mails"), **cookies},
        {**webmail.sign_in(), "rawPath": "/api/sign-in/known", **cookies},
    )
    assert [answer["statusCode"] for answer in again.answers] == [200, 200, 200], again.log


@pytest.mark.slow
def test_what_it_lacks_is_said_to_the_log_and_answered(cloud: Moto, tmp_path: Path) -> None:
    webmail = Webmail(cloud)
    code = tmp_path / "code"
    unpacked().extractall(code)
    beside = lay_beside(tmp_path / "runtime")
    environment = {k: v for k, v in webmail.environment.items() if k != "DEVICE_KEYS"}
    environment["HOST"] = ""
    function = Function(sys.executable, code, beside, HANDLER, environment)
    ran = function.run(webmail.sign_in())
    assert [answer["statusCode"] for answer in ran.answers] == [503]
    ((line),) = ran.log
    assert "HOST, DEVICE_KEYS" in line["reason"]
    missing = {**webmail.environment, "DEVICE_KEYS": "/not/there"}
    ran = Function(sys.executable, code, beside, HANDLER, missing).run(webmail.sign_in())
    assert [answer["statusCode"] for answer in ran.answers] == [503]
    assert "/not/there bears no keys" in ran.log[0]["reason"]
    for each in (*webmail.rings.values(), SECRET):
        assert str(each) not in json.dumps([ran.log, ran.answers])


@pytest.mark.slow
def test_it_holds_what_is_imported_and_nothing_of_the_house_beside_it() -> None:
    with unpacked() as archive:
        names = archive.namelist()
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        contents = {name: archive.read(name) for name in names}
    assert names == sorted(names)
    rooms = {name.split("/")[1] for name in names if name.startswith("postamt_sync/")}
    assert rooms == {"__init__.py", "errors.py", "log_line.py", "aws", "index", "mail", "webmail"}
    of_aws = [name for name in names if name.startswith("postamt_sync/aws/")]
    assert [Path(name).stem for name in of_aws] == ["__init__", "aes_gcm", "data_keys"]
    for left in ("webmail/local_server", "webmail/site", "index/function", "index/client"):
        assert f"postamt_sync/{left}.py" not in names
    assert contents["postamt_sync/__init__.py"] == b""
    third = {pinned.folder for pinned in PINNED}
    for name, content in contents.items():
        if not name.startswith("postamt_sync/"):
            continue
        for module in _imports(content):
            first = module.partition(".")[0]
            known = {*sys.stdlib_module_names, *third, "boto3", "botocore", "postamt_sync"}
            assert first in known, f"{name} imports {module}"
    assert [n for n in names if n.endswith((".pyc", ".so", ".js", ".typed"))] == []
    assert len(webmail_zip()) < 2_000_000


def _imports(content: bytes) -> set[str]:
    found = set()
    for node in ast.parse(content).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


@pytest.mark.slow
def test_it_is_the_same_each_time_and_from_a_copy_of_another_age_order_and_mode(
    tmp_path: Path,
) -> None:
    files = [*SOURCE.glob("*.py"), *SOURCE.glob("*/*.py")]
    random.shuffle(files)
    for file in files:
        copy = tmp_path / "postamt_sync" / file.relative_to(SOURCE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
        copy.chmod(random.choice([0o600, 0o755, 0o444]))
        os.utime(copy, (random.randrange(2**31),) * 2)
    (tmp_path / "postamt_sync" / "__init__.py").write_text('__version__ = "99"\n')
    (tmp_path / "postamt_sync" / "webmail" / "local_server.py").write_text("# changed")
    packed = pack_webmail(tmp_path / "postamt_sync", distribution)
    assert packed == pack_webmail(SOURCE, distribution) == webmail_zip()
    with (tmp_path / "postamt_sync" / "webmail" / "gate.py").open("a") as changed:
        changed.write("# changed\n")
    assert pack_webmail(tmp_path / "postamt_sync", distribution) != webmail_zip()


def record(*files: tuple[str, bytes]) -> str:
    lines = []
    for name, content in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    return "\n".join([*lines, "justhtml-3.16.0.dist-info/RECORD,,"])


class Installed:
    """A directory with one package, installed in it as pip does."""

    def __init__(self, place: Path, version: str = "3.16.0") -> None:
        self.place = place
        self.info = place / f"justhtml-{version}.dist-info"
        self.info.mkdir(parents=True)
        (self.info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: justhtml\nVersion: {version}\n"
        )
        self.files = {"justhtml/__init__.py": b"", "justhtml/parser.py": b"x = 1\n"}
        (place / "justhtml").mkdir()
        self.write()

    def write(self) -> None:
        for name, content in self.files.items():
            (self.place / name).write_bytes(content)
        (self.info / "RECORD").write_text(record(*self.files.items()))

    def find(self, name: str) -> Distribution:
        if name != "justhtml":
            return distribution(name)
        found = next(iter(Distribution.discover(name=name, path=[str(self.place)])), None)
        if found is None:
            raise PackageNotFoundError(name)
        return found


def _none(installed: Installed) -> None:
    shutil.rmtree(installed.info)


def _compiled(installed: Installed) -> None:
    installed.files["justhtml/parser.cpython-313-aarch64-linux-gnu.so"] = b"\x7fELF"
    installed.write()


def _compiled_beside(installed: Installed) -> None:
    (installed.place / "justhtml__mypyc").mkdir()
    installed.files["justhtml__mypyc/core.pyd"] = b"MZ"
    installed.write()


def _changed(installed: Installed) -> None:
    (installed.place / "justhtml/parser.py").write_bytes(b"x = 2\n")


def _lost(installed: Installed) -> None:
    (installed.place / "justhtml/parser.py").unlink()


def _unrecorded(installed: Installed) -> None:
    (installed.info / "RECORD").unlink()


def _elsewhere(installed: Installed) -> None:
    """As an editable installation: what is recorded is the way to it."""
    installed.files = {"__editable__.justhtml.pth": b"/somewhere\n"}
    installed.write()


def _unhashed(installed: Installed) -> None:
    (installed.info / "RECORD").write_text("justhtml/__init__.py,,\njusthtml/parser.py,,\n")


WRONG: dict[str, tuple[Callable[[Installed], None], str]] = {
    "is not installed.": (_none, "install justhtml=="),
    "compiled form": (_compiled, "--force-reinstall --no-binary justhtml justhtml=="),
    "in a compiled form": (_compiled_beside, "--no-binary justhtml"),
    "was changed (parser.py)": (_changed, "--force-reinstall justhtml=="),
    "not installed whole": (_lost, "--force-reinstall"),
    "not installed whole.": (_unrecorded, "--force-reinstall"),
    "is not installed whole": (_elsewhere, "--force-reinstall"),
    "was changed (__init__.py)": (_unhashed, "--force-reinstall"),
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Sources that are quickly packed."""
    front = tmp_path / "postamt_sync" / "webmail" / "lambda_front.py"
    front.parent.mkdir(parents=True)
    front.write_text("import justhtml\n")
    return tmp_path / "postamt_sync"


@pytest.mark.parametrize("problem", WRONG)
def test_what_was_not_tried_is_refused_with_the_command(
    problem: str, small: Path, tmp_path: Path
) -> None:
    installed = Installed(tmp_path / "site")
    pack_webmail(small, installed.find)
    break_, command = WRONG[problem]
    break_(installed)
    with pytest.raises(MisconfiguredError) as refused:
        pack_webmail(small, installed.find)
    assert problem in refused.value.problem
    assert command in refused.value.hint
    assert refused.value.hint.endswith("justhtml==3.16.0")


@pytest.mark.parametrize("version", ["3.15.0", "3.16.1", "3.16", "4.0.0rc1"])
def test_another_version_is_refused_with_the_command(
    version: str, small: Path, tmp_path: Path
) -> None:
    installed = Installed(tmp_path / "site", version)
    with pytest.raises(MisconfiguredError, match=f"installed in version {version}") as refused:
        pack_webmail(small, installed.find)
    assert refused.value.hint.endswith(f"{sys.executable} -m pip install justhtml==3.16.0")


def test_the_versions_are_those_that_are_installed_with_us() -> None:
    text = (SOURCE.parent / "pyproject.toml").read_text()
    for pinned in PINNED:
        assert f'"{pinned.name.lower()}=={pinned.version}"' in text
        assert distribution(pinned.name).version == pinned.version


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_it_is_the_same_whichever_python_builds_it(version: str) -> None:
    found = shutil.which(f"python{version}")
    build = (
        "import sys; sys.path += sys.argv[1:];"
        "from postamt_sync.aws.webmail_zip import webmail_zip;"
        "sys.stdout.buffer.write(webmail_zip())"
    )
    packages = Path(distribution("justhtml").locate_file(""))  # type: ignore[arg-type]
    built = found and subprocess.run(
        [found, "-ISBc", build, str(SOURCE.parent), str(packages)],
        capture_output=True,
        env={**os.environ, "PYENV_VERSION": version},
        check=False,
    )
    if not built or b"command not found" in built.stderr:
        pytest.skip(f"there is no python{version} here")
    assert built.stdout == webmail_zip(), built.stderr.decode()
