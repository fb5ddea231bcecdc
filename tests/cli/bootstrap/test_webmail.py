"""The documented walk from `[webmail]` to the working page, typed word for word.

CloudFront itself is stood in for: the page is read where it reads it, and the function is called
as it calls, with the secret that it was given.
"""

from __future__ import annotations

import json
import re
import shlex
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.bootstrap.open_stack import open_stack
from postamt_sync.cli.main import run
from postamt_sync.config import load
from postamt_sync.doctor.account import AwsAccount
from postamt_sync.doctor.check import findings_of
from postamt_sync.doctor.finding import Severity
from postamt_sync.doctor.invocation import InvocationCheck
from postamt_sync.doctor.webmail import TRIAL, Answered, webmail_checks
from postamt_sync.errors import ExitCode
from postamt_sync.webmail import lambda_front
from postamt_sync.webmail.site import site
from tests.doubles.account import Account
from tests.doubles.webmail_account import MAIL
from tests.support.documentation import documentation

BLOCKS = re.findall(r"^```(?:sh|toml)\n(.*?)\n```$", documentation(), re.MULTILINE | re.DOTALL)
OPTIONS = next(block for block in BLOCKS if block.startswith("[webmail]"))
WALK = next(block for block in BLOCKS if "bootstrap dns --route53" in block and "user add" in block)
AT_ONCE = {"progression": "immediate"}
ASKING = {"apply", "dns", "destroy", "rotate"}

pytestmark = pytest.mark.slow


class Household:
    """Types commands beside a configuration with `[webmail]`, and keeps what they say."""

    def __init__(self, account: Account, directory: Path, capsys: pytest.CaptureFixture[str]):
        self.account = account
        self.capsys = capsys
        self.config = directory / "config.toml"
        self.keys = directory / "keys"
        asked = ["--domain", "example.com", "--region", "eu-west-1", "--mailbox", "anna"]
        assert run(["bootstrap", "init", *asked, "--no-port", "--output", str(self.config)]) == 0
        text = self.config.read_text()
        assert "[webmail]" not in text
        self.config.write_text(f"{text}\n{OPTIONS}\n")
        account.client("route53").create_hosted_zone(Name="example.com", CallerReference="x")
        capsys.readouterr()

    def type(self, line: str, *more: str, code: int = ExitCode.OK) -> str:
        words = [*shlex.split(line, comments=True)[1:], *more]
        where = ["--config", str(self.config)]
        if words[0] == "bootstrap" and words[1] != "dns":
            where += ["--out", str(self.keys)]
        if ASKING & set(words) and "plan" not in words:
            where.append("--yes")
        if words[:2] == ["bootstrap", "dns"]:
            where.append("--offline")
        assert run([*words, *where]) == code, self.capsys.readouterr()
        said = self.capsys.readouterr()
        return said.out + said.err

    def distribution(self) -> dict[str, Any]:
        edge = self.account.client("cloudfront")
        (found,) = edge.list_distributions()["DistributionList"]["Items"]
        config: dict[str, Any] = edge.get_distribution_config(Id=found["Id"])["DistributionConfig"]
        return config


@pytest.fixture
def household(
    aws: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Household]:
    """In an account whose distributions are deployed at once: who waits for one is tried in
    tests/bootstrap/test_webmail_destroy.py.
    """
    distribution = {"model_name": "cloudfront::distribution"}
    tell(aws, "state-manager/set-transition", {**distribution, "transition": AT_ONCE})
    yield Household(aws, tmp_path, capsys)
    tell(aws, "state-manager/unset-transition", distribution)


def tell(account: Account, about: str, said: Any) -> None:
    """Tell the emulator how to behave."""
    address = f"{account.emulator.url}/moto-api/{about}"
    with urllib.request.urlopen(address, json.dumps(said).encode(), timeout=30) as answer:
        assert answer.status < 300


class Edge:
    """What CloudFront does: the page from the bucket, /api/ from the function."""

    def __init__(self, household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
        self.account = household.account
        self.config = household.distribution()
        function = self.account.client("lambda").get_function_configuration(
            FunctionName="postamt-webmail"
        )
        for name, value in function["Environment"]["Variables"].items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        self.start_anew()
        self.cookies: list[str] = []

    def start_anew(self) -> None:
        """Let the function be another process, which knows no keys yet."""
        lambda_front.own_front.cache_clear()

    def page(self, name: str) -> bytes:
        origin = next(o for o in self.config["Origins"]["Items"] if o["Id"] == "page")
        bucket = origin["DomainName"].partition(".")[0]
        key = f"{origin['OriginPath'].lstrip('/')}/{name or self.config['DefaultRootObject']}"
        body: bytes = self.account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def headers(self) -> dict[str, str]:
        """Return what it adds to the page."""
        edge = self.account.client("cloudfront")
        named = self.config["DefaultCacheBehavior"]["ResponseHeadersPolicyId"]
        policy = edge.get_response_headers_policy(Id=named)["ResponseHeadersPolicy"]
        config = policy["ResponseHeadersPolicyConfig"]
        secure = config["SecurityHeadersConfig"]
        own = {each["Header"]: each["Value"] for each in config["CustomHeadersConfig"]["Items"]}
        headers = {
            "Content-Security-Policy": secure["ContentSecurityPolicy"]["ContentSecurityPolicy"],
            "Referrer-Policy": secure["ReferrerPolicy"]["ReferrerPolicy"],
            "X-Content-Type-Options": "nosniff" if "ContentTypeOptions" in secure else "",
            "X-Frame-Options": secure["FrameOptions"]["FrameOption"],
            "Strict-Transport-Security": "max-age="
            f"{secure['StrictTransportSecurity']['AccessControlMaxAgeSec']}",
            **own,
        }
        return {name.lower(): value for name, value in headers.items()}

    def ask(self, host: str, path: str) -> Answered:
        """Ask as anybody may, who has signed in nowhere."""
        (alias,) = self.config["Aliases"]["Items"]
        if host == alias and not path.startswith("/api/"):
            return Answered(200, self.headers(), self.page(path.lstrip("/")))
        cookies, self.cookies = self.cookies, []
        answer = self.api("GET", path, secret=host == alias)
        self.cookies = cookies
        return Answered(answer["statusCode"], {}, b"")

    def answer_when_invoked(self) -> None:
        """Let the emulator, which runs no functions, answer as ours does when `verify` calls it."""
        answers = ["null", json.dumps(lambda_front.handle(TRIAL))]
        said = {"results": answers, "region": "eu-west-1"}
        tell(self.account, "static/lambda-simple/response", said)

    def api(
        self, method: str, path: str, said: Mapping[str, str] | None = None, *, secret: bool = True
    ) -> dict[str, Any]:
        origin = next(o for o in self.config["Origins"]["Items"] if o["Id"] == "api")
        added = {h["HeaderName"]: h["HeaderValue"] for h in origin["CustomHeaders"]["Items"]}
        (alias,) = self.config["Aliases"]["Items"]
        headers = {
            "content-type": "application/json",
            "origin": f"https://{alias}",
            "sec-fetch-site": "same-origin",
            "cloudfront-viewer-address": "192.0.2.7:46532",
            **(added if secret else {}),
        }
        answer = lambda_front.handle(
            {
                "version": "2.0",
                "rawPath": path,
                "rawQueryString": "",
                "headers": headers,
                "cookies": self.cookies,
                "requestContext": {"http": {"method": method, "path": path}},
                "body": json.dumps(said) if said is not None else "",
                "isBase64Encoded": False,
            }
        )
        self.cookies = [c.partition(";")[0] for c in answer.get("cookies", [])] or self.cookies
        return answer


@pytest.mark.timeout(400)
def test_the_walk_leads_from_the_configuration_to_the_working_page(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: dict[int, str] = {}
    lines = [line for line in WALK.splitlines() if " verify" not in line]
    for number, line in enumerate(lines):
        said[number] = household.type(line)
    assert "The webmail is waiting for its certificate" in said[0]
    assert "The webmail is at https://webmail.example.com/" in said[2]
    assert household.type("postamt-sync bootstrap plan").endswith("Nothing to do.\n")

    edge = Edge(household, monkeypatch)
    verify_finds_it_well(household, edge)
    assert edge.page("") == site()["/"].content
    assert edge.api("GET", "/api/session", secret=False)["statusCode"] == 403
    assert edge.api("GET", "/api/session")["statusCode"] == 401
    secret = re.search(r"\b[a-z0-9-]{26,}\b", said[len(lines) - 1].replace("\n", " "))
    assert secret, said[len(lines) - 1]
    signed_in = edge.api("POST", "/api/sign-in", {"mailbox": "anna", "secret": secret[0]})
    assert signed_in["statusCode"] == 200, signed_in
    listed = edge.api("GET", "/api/mails")
    assert listed["statusCode"] == 200, listed
    assert "mails" in json.loads(listed["body"])

    # New keys: who is signed in stays so, and the secret on its way is as good as the new one.
    household.type("postamt-sync bootstrap credentials rotate webmail", code=ExitCode.OK)
    edge.start_anew()
    assert edge.api("GET", "/api/mails")["statusCode"] == 200
    assert edge.config != household.distribution()
    edge.config = household.distribution()
    assert edge.api("GET", "/api/mails")["statusCode"] == 200

    # It goes alone, and a second time there is nothing to do.
    told = household.type("postamt-sync bootstrap destroy --webmail")
    assert "- distribution postamt-webmail-eu-west-1" in told
    assert "The DNS records of webmail.example.com" in told
    assert "postamt-smtp" not in told
    assert "Nothing to remove." in household.type("postamt-sync bootstrap destroy --webmail")
    assert household.account.client("dynamodb").list_tables()["TableNames"] == [
        "postamt",
        "postamt-lists",
    ]
    assert MAIL not in told


def verify_finds_it_well(household: Household, edge: Edge) -> None:
    """Type the walk's `verify`: all is well but SES, which proves no domain in the emulator, and
    what it asks by name; that is asked of our stand-in for CloudFront.
    """
    edge.answer_when_invoked()
    (line,) = [line for line in WALK.splitlines() if " verify" in line]
    said = household.type(line, "--offline", "--json", code=ExitCode.FINDINGS)
    found = json.loads(said[said.index("{") :])["findings"]
    well = {each["subject"] for each in found if each["outcome"] == "ok"}
    assert {each["subject"] for each in found} - well == {"identity example.com"}, found
    assert {"plan", "webmail certificate", "webmail function", "index function"} <= well

    opened = open_stack(load(household.config, {}))
    looked = [
        each.outcome
        for check in webmail_checks(AwsAccount(lambda: opened), edge.ask)
        if not isinstance(check, InvocationCheck)
        for each in findings_of(check)
    ]
    assert looked == [Severity.OK] * 3


def test_while_the_certificate_waits_plan_and_dns_tell_its_record(household: Household) -> None:
    household.type("postamt-sync bootstrap apply")
    record = "_d930b28be6c5927595552b219965053e.webmail.example.com"
    planned = household.type("postamt-sync bootstrap plan").replace("\n    ", " ")
    assert f"{record} CNAME" in planned
    shown = household.type("postamt-sync bootstrap dns")
    assert f"CNAME {record}" in shown
    assert "is missing here: its distribution is made once" in " ".join(shown.split())
    as_json = household.type("postamt-sync bootstrap dns", "--format", "json")
    told = {one["purpose"] for one in json.loads(as_json[: as_json.rindex("]") + 1])}
    assert "certificate" in told
    assert "webmail" not in told


@pytest.mark.parametrize(
    "line",
    [
        "postamt-sync bootstrap destroy --webmail --delete-mail postamt-123456789012-eu-west-1-an",
        "postamt-sync bootstrap credentials rotate webmail --finish",
        "postamt-sync bootstrap credentials rotate webmail --mailbox anna",
        "postamt-sync bootstrap credentials replace webmail",
    ],
)
def test_what_does_not_go_together_is_refused(household: Household, line: str) -> None:
    household.type(line, code=ExitCode.USAGE)


def test_without_a_webmail_there_is_nothing_to_rotate(household: Household) -> None:
    text = household.config.read_text()
    household.config.write_text(text.replace("enabled = true", "enabled = false"))
    said = household.type("postamt-sync bootstrap credentials rotate webmail", code=ExitCode.USAGE)
    assert "wants no webmail" in said


def test_plain_destroy_takes_a_webmail_that_was_switched_off_too(household: Household) -> None:
    household.type("postamt-sync bootstrap apply")
    text = household.config.read_text()
    household.config.write_text(text.replace("enabled = true", "enabled = false"))
    told = household.type("postamt-sync bootstrap destroy")
    assert "- HTTP API postamt-webmail" in told
    tables = household.account.client("dynamodb").list_tables()["TableNames"]
    assert "postamt-webmail" not in tables
