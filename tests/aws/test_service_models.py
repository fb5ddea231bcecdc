"""A service's description is read once, and a configured one is found before boto3's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import UnknownServiceError

from postamt_sync.aws.clients import lazy_session, lean_session, new_session, sns_client
from postamt_sync.aws.service_models import forget_models, share_models


def sharing() -> botocore.session.Session:
    session = botocore.session.Session()
    share_models(session)
    return session


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DATA_PATH", raising=False)


def test_two_sessions_have_one_description() -> None:
    one, other = (sharing().get_component("data_loader") for _ in range(2))
    sqs = one.load_service_model("sqs", "service-2")
    assert other.load_service_model("sqs", "service-2") is sqs


def test_no_session_makes_the_search_longer() -> None:
    paths = [
        list(new_session("eu-west-1")._loader.search_paths)  # noqa: SLF001 - boto3's own
        for _ in range(3)
    ]
    assert paths[0] == paths[1] == paths[2]


def test_the_session_may_still_be_told_which_file_configures_it(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile other]\nregion = eu-south-1\n")
    session = sharing()
    session.set_config_variable("config_file", str(tmp_path / "config"))
    session.set_config_variable("profile", "other")
    assert session.get_config_variable("region") == "eu-south-1"


def test_boto3_s_own_descriptions_are_found() -> None:
    assert new_session("eu-west-1").get_available_resources()


@pytest.mark.parametrize(
    ("service", "kind"), [("nothing", "service-2"), ("kms", "resources-1"), ("sqs", "waiters-9")]
)
def test_what_is_not_there_is_an_unknown_service_as_botocore_has_it(
    service: str, kind: str
) -> None:
    for session in (botocore.session.Session(), sharing()):
        with pytest.raises(UnknownServiceError, match=service):
            session.get_component("data_loader").load_service_model(service, kind)


@pytest.mark.slow
def test_a_description_is_looked_for_in_its_own_directory_alone() -> None:
    """botocore reads 400 directories for each client."""
    code = """
import sys
import botocore.session
from postamt_sync.aws.service_models import share_models
session = botocore.session.Session()
share_models(session)
read = []
sys.addaudithook(lambda event, _: event in {"os.listdir", "os.scandir"} and read.append(event))
session.create_client("s3", "eu-west-1")
print(len(read))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    return tmp_path / "sqs" / "2012-11-05"


def test_a_configured_description_comes_first(configured: Path) -> None:
    usual = botocore.session.Session().get_component("data_loader")
    own = dict(usual.load_service_model("sqs", "service-2"))
    own["metadata"] = {**own["metadata"], "serviceFullName": "Ours"}
    configured.mkdir(parents=True)
    (configured / "service-2.json").write_text(json.dumps(own))
    model = sharing().get_service_model("sqs")
    assert model.metadata["serviceFullName"] == "Ours"


def test_what_was_read_is_let_go_of_once_a_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3's alone takes 4 MB, and AWS's endpoints 7."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    session = lazy_session(lambda: lean_session("eu-west-1"))
    client = sns_client(session, "eu-west-1")
    assert client.meta.region_name == "eu-west-1"
    models = session._session.get_component("data_loader")  # noqa: SLF001
    assert not models._cache  # noqa: SLF001
    assert "endpoint_resolver" not in session._session._internal_components._components  # noqa: SLF001
    assert client.meta.service_model.operation_model("Subscribe").input_shape.members


@pytest.mark.slow
@pytest.mark.parametrize("service", ["s3", "sns", "sqs", "dynamodb", "cloudwatch", "kms"])
def test_no_text_for_people_is_kept(service: str) -> None:
    """Nor is a description changed otherwise."""

    def without(found: object) -> object:
        if isinstance(found, dict):
            return {
                key: "" if key == "documentation" and isinstance(value, str) else without(value)
                for key, value in found.items()
            }
        return [without(each) for each in found] if isinstance(found, list) else found

    usual = botocore.session.Session().get_component("data_loader")
    forget_models()  # a client of S3, once used, has changed its own in memory
    ours = sharing().get_component("data_loader")
    for kind in ("service-2", "endpoint-rule-set-1"):
        assert ours.load_service_model(service, kind) == without(
            usual.load_service_model(service, kind)
        )


def test_a_lean_session_knows_what_boto3_s_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIALEAN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    for session in (lean_session(), new_session()):
        client = session.client("sqs")
        assert client.meta.endpoint_url == "https://sqs.eu-north-1.amazonaws.com"
        found = session.get_credentials()
        assert found is not None
        assert found.access_key == "AKIALEAN"
    assert lean_session("eu-south-1").client("sqs").meta.region_name == "eu-south-1"
