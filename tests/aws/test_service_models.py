"""A service's description is read once, and a configured one is found before boto3's own."""

from __future__ import annotations

import json
from pathlib import Path

import botocore.session
import pytest

from postamt_sync.aws.clients import new_session
from postamt_sync.aws.service_models import share_models


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
