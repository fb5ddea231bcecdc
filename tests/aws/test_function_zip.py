"""The zip: the same bytes each time, and it runs with nothing but boto3 beside it."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
import uuid
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

import postamt_sync
from postamt_sync.aws.function_zip import index_zip, pack
from tests.doubles.moto import Moto
from tests.doubles.notices import MESSAGE_ID, PREFIX, event, from_sns, receipt, stored

pytestmark = pytest.mark.slow

HANDLER = "postamt_sync.index.function.handle"
RUNTIME = "python3.13"
BESIDE = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")
"""What Lambda's runtime has: boto3 and what it needs."""

# As Lambda's runtime does it: the zip first, the runtime's packages last, the handler by its name.
RUNNER = """
import importlib, json, sys
code, beside, handler = sys.argv[1:]
sys.path = [code, *sys.path, beside]
module, _, name = handler.rpartition(".")
handle = getattr(importlib.import_module(module), name)
for line in sys.stdin:
    handle(json.loads(line), None)
foreign = {
    name.partition(".")[0] for name, module in sys.modules.items()
    if getattr(module, "__file__", None) and not module.__file__.startswith(sys.base_prefix)
}
print(json.dumps([sys.version_info[:2], sorted(foreign - {"__main__"})]), file=sys.stderr)
"""

ENVIRONMENT = {**os.environ, "PYENV_VERSION": RUNTIME.removeprefix("python")}
"""Where several versions are kept by pyenv, its shim wants to be told which."""


def of_runtime() -> str | None:
    found = shutil.which(RUNTIME)
    if found is None:
        return None
    works = subprocess.run([found, "-V"], capture_output=True, env=ENVIRONMENT, check=False)
    return found if works.returncode == 0 else None


@pytest.fixture(params=[RUNTIME, "ours"])
def python(request: pytest.FixtureRequest) -> str:
    """The Python of Lambda's runtime; and ours, which is there in any case."""
    if request.param == "ours":
        return sys.executable
    found = of_runtime()
    if found is None:
        pytest.skip(f"there is no {RUNTIME} here, the Python that Lambda runs the zip in")
    return found


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A folder with boto3 and what it needs, all of it pure Python, and nothing else."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in BESIDE:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


@dataclass
class Function:
    """The index Lambda as it would run: `run` returns its log, its version and its packages."""

    python: str
    code: Path
    beside: Path
    environment: dict[str, str]

    def run(self, *messages: str) -> tuple[list[dict[str, str]], list[int], list[str]]:
        ended = subprocess.run(
            # -I and -S: no environment, no site packages, no current directory.
            [self.python, "-ISc", RUNNER, str(self.code), str(self.beside), HANDLER],
            input="".join(json.dumps(from_sns(message)) + "\n" for message in messages),
            capture_output=True,
            text=True,
            check=True,
            env=ENVIRONMENT | self.environment,
        )
        version, packages = json.loads(ended.stderr)
        return [json.loads(line) for line in ended.stdout.splitlines()], version, packages


@pytest.fixture
def function(cloud: Moto, python: str, beside: Path, tmp_path: Path) -> Function:
    code = tmp_path / "index.zip"
    code.write_bytes(index_zip())
    name = f"postamt-{uuid.uuid4().hex}"
    cloud.make_table(name)
    cloud.make_bucket(name)
    own = {"TABLE": name, "BUCKET": name, "PREFIX": PREFIX}
    return Function(python, code, beside, cloud.environment | own)


def test_the_zip_indexes_in_the_runtime_s_python_with_only_boto3_beside_it(
    cloud: Moto, function: Function
) -> None:
    bucket = function.environment["BUCKET"]
    body = stored()
    etag = cloud.client("s3").put_object(Bucket=bucket, Key=PREFIX + MESSAGE_ID, Body=body)["ETag"]
    said, version, packages = function.run(
        event(etag=etag.strip('"'), size=len(body), bucket=bucket), receipt(bucket=bucket)
    )
    assert [line["event"] for line in said] == ["indexed", "indexed"]
    item = cloud.client("dynamodb").get_item(
        TableName=bucket, Key={"message_id": {"S": MESSAGE_ID}}
    )["Item"]
    assert item["subject"] == {"S": "Guten Tag, Köln"}
    assert item["recipients"] == {"SS": ["anna@home.example", "bruno@home.example"]}
    assert item["size"] == {"N": str(len(body))}
    assert set(packages) <= {"postamt_sync", *BESIDE}
    if function.python != sys.executable:
        assert version == [3, 13]


def test_a_notice_that_fails_ends_the_invocation_with_an_error(function: Function) -> None:
    bucket = function.environment["BUCKET"]
    function.environment["TABLE"] = "nobodys"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        function.run(receipt(bucket=bucket))
    assert "ResourceNotFoundException" in failed.value.stderr


def test_the_zip_is_the_same_each_time_and_from_a_copy_of_another_age_order_and_mode(
    tmp_path: Path,
) -> None:
    source = Path(postamt_sync.__file__).parent
    files = [*source.glob("mail/*"), *source.glob("index/*.py"), source / "__init__.py"]
    random.shuffle(files)
    for file in (file for file in files if file.is_file()):
        copy = tmp_path / "postamt_sync" / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
        copy.chmod(random.choice([0o600, 0o755, 0o444]))
        os.utime(copy, (random.randrange(2**31),) * 2)
    (tmp_path / "postamt_sync" / "__init__.py").write_text('__version__ = "99"\n')
    (tmp_path / "postamt_sync" / "mail" / "__pycache__").mkdir(exist_ok=True)
    assert index_zip() == index_zip() == pack(tmp_path / "postamt_sync")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_zip_is_the_same_whichever_python_builds_it(version: str, tmp_path: Path) -> None:
    found = shutil.which(f"python{version}")
    environment = {**os.environ, "PYENV_VERSION": version}
    build = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from postamt_sync.aws.function_zip import index_zip;"
        "sys.stdout.buffer.write(index_zip())"
    )
    built = found and subprocess.run(
        [found, "-ISBc", build, str(Path(postamt_sync.__file__).parents[1])],
        capture_output=True,
        env=environment,
        check=False,
    )
    if not built or b"command not found" in built.stderr:
        pytest.skip(f"there is no python{version} here")
    assert built.stdout == index_zip(), built.stderr.decode()


def test_a_change_of_the_code_changes_the_zip(tmp_path: Path) -> None:
    copy = tmp_path / "postamt_sync"
    shutil.copytree(Path(postamt_sync.__file__).parent, copy)
    with (copy / "index" / "summary.py").open("a") as file:
        file.write("# changed\n")
    assert pack(copy) != index_zip()


def test_the_zip_holds_the_pure_mail_package_and_the_handler() -> None:
    with zipfile.ZipFile(io.BytesIO(index_zip())) as archive:
        names = archive.namelist()
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    others = [name for name in names if not name.startswith("postamt_sync/mail/")]
    assert names == sorted(names)
    assert others == [
        "postamt_sync/__init__.py",
        "postamt_sync/index/__init__.py",
        "postamt_sync/index/entry.py",
        "postamt_sync/index/entry_update.py",
        "postamt_sync/index/function.py",
        "postamt_sync/index/item.py",
        "postamt_sync/index/list_facts.py",
        "postamt_sync/index/lists.py",
        "postamt_sync/index/notice_values.py",
        "postamt_sync/index/summary.py",
    ]
    mail = Path(postamt_sync.__file__).parent / "mail"
    assert len(names) == len(others) + len(list(mail.glob("*.py")))
