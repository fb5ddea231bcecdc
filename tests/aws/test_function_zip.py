"""The zip: the same bytes each time, and it runs with nothing but boto3 beside it."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
import uuid
import zipfile
from pathlib import Path

import pytest

import postamt_sync
from postamt_sync.aws.function_zip import index_zip, pack
from tests.aws.lambda_runtime import BESIDE, Function, lay_beside
from tests.doubles.kms import EmulatedKms, EncryptingSes
from tests.doubles.moto import Moto
from tests.doubles.notices import MESSAGE_ID, PREFIX, event, from_sns, receipt, stored

pytestmark = pytest.mark.slow

HANDLER = "postamt_sync.index.function.handle"


@pytest.fixture
def function(cloud: Moto, python: str, tmp_path: Path) -> Function:
    code = tmp_path / "index.zip"
    code.write_bytes(index_zip())
    name = f"postamt-{uuid.uuid4().hex}"
    cloud.make_table(name)
    cloud.make_bucket(name)
    own = {"TABLE": name, "BUCKET": name, "PREFIX": PREFIX}
    beside = lay_beside(tmp_path / "runtime")
    return Function(python, code, beside, HANDLER, cloud.environment | own)


def test_the_zip_indexes_in_the_runtime_s_python_with_only_boto3_beside_it(
    cloud: Moto, function: Function
) -> None:
    bucket = function.environment["BUCKET"]
    body = stored()
    etag = cloud.client("s3").put_object(Bucket=bucket, Key=PREFIX + MESSAGE_ID, Body=body)["ETag"]
    ran = function.run(
        from_sns(event(etag=etag.strip('"'), size=len(body), bucket=bucket)),
        from_sns(receipt(bucket=bucket)),
    )
    assert [line["event"] for line in ran.log] == ["indexed", "indexed"]
    item = cloud.client("dynamodb").get_item(
        TableName=bucket, Key={"message_id": {"S": MESSAGE_ID}}
    )["Item"]
    assert item["subject"] == {"S": "Guten Tag, Köln"}
    assert item["recipients"] == {"SS": ["anna@home.example", "bruno@home.example"]}
    assert item["size"] == {"N": str(len(body))}
    assert set(ran.packages) <= {"postamt_sync", *BESIDE}
    if function.python != sys.executable:
        assert ran.version == [3, 13]


def test_it_reads_what_ses_encrypted_with_no_more_than_python_has(
    cloud: Moto, function: Function
) -> None:
    bucket = function.environment["BUCKET"]
    function.environment["KMS"] = "on"
    body, metadata = EncryptingSes(EmulatedKms(cloud.client("kms"))).encrypted(stored())
    put = {"Bucket": bucket, "Key": PREFIX + MESSAGE_ID, "Body": body, "Metadata": metadata}
    etag = cloud.client("s3").put_object(**put)["ETag"]
    function.run(from_sns(event(etag=etag.strip('"'), size=len(body), bucket=bucket)))
    item = cloud.client("dynamodb").get_item(
        TableName=bucket, Key={"message_id": {"S": MESSAGE_ID}}
    )["Item"]
    assert item["subject"] == {"S": "Guten Tag, Köln"}


def test_a_notice_that_fails_ends_the_invocation_with_an_error(function: Function) -> None:
    bucket = function.environment["BUCKET"]
    function.environment["TABLE"] = "nobodys"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        function.run(from_sns(receipt(bucket=bucket)))
    assert "ResourceNotFoundException" in failed.value.stderr


def test_the_zip_is_the_same_each_time_and_from_a_copy_of_another_age_order_and_mode(
    tmp_path: Path,
) -> None:
    source = Path(postamt_sync.__file__).parent
    files = [f for room in ("mail", "aws", "index") for f in source.glob(f"{room}/*")]
    files.append(source / "__init__.py")
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
        "postamt_sync/aws/__init__.py",
        "postamt_sync/aws/aes_gcm.py",
        "postamt_sync/aws/data_keys.py",
        "postamt_sync/index/__init__.py",
        "postamt_sync/index/entry.py",
        "postamt_sync/index/entry_item.py",
        "postamt_sync/index/entry_update.py",
        "postamt_sync/index/function.py",
        "postamt_sync/index/invocation_event.py",
        "postamt_sync/index/item.py",
        "postamt_sync/index/list_facts.py",
        "postamt_sync/index/lists.py",
        "postamt_sync/index/notice_values.py",
        "postamt_sync/index/stored_head.py",
        "postamt_sync/index/summary.py",
    ]
    mail = Path(postamt_sync.__file__).parent / "mail"
    assert len(names) == len(others) + len(list(mail.glob("*.py")))
