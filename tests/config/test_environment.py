from __future__ import annotations

import subprocess
import sys

import pytest

from postamt_sync.config import ListenAddress
from postamt_sync.errors import Problem
from tests.config.conftest import MINIMAL, ONE_MAILBOX, WEBHOOK, Read, Report

TEXT = MINIMAL + ONE_MAILBOX


def test_a_variable_wins_over_the_file(read: Read) -> None:
    settings = read("[poll]\ninterval = 100\n" + TEXT, {"POSTAMT_SYNC_POLL__INTERVAL": "60"})
    assert settings.poll.interval == 60
    assert settings.origin("poll.interval") == "POSTAMT_SYNC_POLL__INTERVAL"
    assert settings.origin("poll.reconcile_interval") == "default"


def test_top_level_option(read: Read) -> None:
    assert str(read(TEXT, {"POSTAMT_SYNC_STATE_DIR": "/state"}).state_dir) == "/state"


def test_everything_without_any_line_in_the_file(read: Read) -> None:
    settings = read(
        "",
        {
            "POSTAMT_SYNC_AWS__REGION": "eu-west-1",
            "POSTAMT_SYNC_BUCKET": '{"name": "mail-bucket", "prefix": "x/"}',
            "POSTAMT_SYNC_BUCKET__PREFIX": "y/",
            "POSTAMT_SYNC_WEBHOOK__PUBLIC_URL": "https://h.example.com/sns",
            "POSTAMT_SYNC_WEBHOOK__TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:p",
            "POSTAMT_SYNC_STACK__DOMAINS": '["example.com"]',
            "POSTAMT_SYNC_MAILBOXES": '[{"name": "anna", "maildir": "/mail/anna"}]',
        },
    )
    assert settings.bucket.name == "mail-bucket"
    assert settings.bucket.prefix == "y/"
    assert settings.webhook is not None
    assert settings.stack.domains == ("example.com",)
    assert settings.default_mailbox.name == "anna"
    assert settings.origin("bucket.name") == "POSTAMT_SYNC_BUCKET"
    assert settings.origin("bucket.prefix") == "POSTAMT_SYNC_BUCKET__PREFIX"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[::]:8443", (ListenAddress("::", 8443),)),
        ("127.0.0.1:80", (ListenAddress("127.0.0.1", 80),)),
        (
            '["127.0.0.1:80", "[::1]:80"]',
            (ListenAddress("127.0.0.1", 80), ListenAddress("::1", 80)),
        ),
    ],
)
def test_listen_as_text_or_json(read: Read, text: str, expected: tuple[ListenAddress, ...]) -> None:
    settings = read(MINIMAL + WEBHOOK + ONE_MAILBOX, {"POSTAMT_SYNC_WEBHOOK__LISTEN": text})
    assert settings.webhook is not None
    assert settings.webhook.listen == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1", "127.0.0.1/32"), ('["::1", "10.0.0.0/8"]', "::1/128 10.0.0.0/8"), ("[]", "")],
)
def test_trusted_proxies_as_text_or_json(read: Read, text: str, expected: str) -> None:
    environ = {"POSTAMT_SYNC_WEBHOOK__TRUSTED_PROXIES": text}
    settings = read(MINIMAL + WEBHOOK + ONE_MAILBOX, environ)
    assert settings.webhook is not None
    assert settings.webhook.trusted_proxies == tuple(expected.split())


def test_an_empty_variable_is_an_empty_value(read: Read) -> None:
    text = '[queue]\nurl = "https://sqs.eu-west-1.amazonaws.com/1/a"\n' + TEXT
    assert read(text, {"POSTAMT_SYNC_QUEUE__URL": ""}).queue.url == ""


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("POSTAMT_SYNC_POL__INTERVAL", "POSTAMT_SYNC_POLL__INTERVAL"),
        ("POSTAMT_SYNC_POLL_INTERVAL", "POSTAMT_SYNC_POLL__INTERVAL"),
        ("POSTAMT_SYNC_POLL__INTERVALL", "POSTAMT_SYNC_POLL__INTERVAL"),
        ("POSTAMT_SYNC_STATEDIR", "POSTAMT_SYNC_STATE_DIR"),
        ("POSTAMT_SYNC_poll__interval", "POSTAMT_SYNC_POLL__INTERVAL"),
    ],
)
def test_a_mistyped_name(report: Report, name: str, meant: str) -> None:
    assert report(TEXT, {name: "60"}) == [Problem(name, f"is no option; did you mean {meant}?")]


KUBERNETES = {
    "POSTAMT_SYNC_SERVICE_HOST": "10.96.13.7",
    "POSTAMT_SYNC_SERVICE_PORT": "8080",
    "POSTAMT_SYNC_SERVICE_PORT_WEBHOOK": "8443",
    "POSTAMT_SYNC_SERVICE_PORT_SNS_HTTPS": "8443",
    "POSTAMT_SYNC_PORT": "tcp://10.96.13.7:8080",
    "POSTAMT_SYNC_PORT_8080_TCP": "tcp://10.96.13.7:8080",
    "POSTAMT_SYNC_PORT_8080_TCP_PROTO": "tcp",
    "POSTAMT_SYNC_PORT_8080_TCP_PORT": "8080",
    "POSTAMT_SYNC_PORT_8080_TCP_ADDR": "10.96.13.7",
    "POSTAMT_SYNC_PORT_53_UDP": "udp://10.96.13.7:53",
    "POSTAMT_SYNC_PORT_53_UDP_PROTO": "udp",
    "POSTAMT_SYNC_PORT_9125_TCP": "tcp://[fd00::7]:9125",
    "POSTAMT_SYNC_PORT_9125_TCP_ADDR": "fd00::7",
    # a Service named postamt-sync-webhook, and one named postamt-sync-2
    "POSTAMT_SYNC_WEBHOOK_SERVICE_HOST": "10.96.1.1",
    "POSTAMT_SYNC_WEBHOOK_SERVICE_PORT": "443",
    "POSTAMT_SYNC_WEBHOOK_PORT": "tcp://10.96.1.1:443",
    "POSTAMT_SYNC_WEBHOOK_PORT_443_TCP_ADDR": "10.96.1.1",
    "POSTAMT_SYNC_2_SERVICE_HOST": "10.96.1.2",
}


def test_what_kubernetes_tells_of_its_services_is_passed_over(read: Read) -> None:
    settings = read(TEXT, {**KUBERNETES, "POSTAMT_SYNC_POLL__INTERVAL": "60"})
    assert settings.poll.interval == 60


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTAMT_SYNC_PORT", "8443"),
        ("POSTAMT_SYNC_SERVICE_HOST", "mail.example.com"),
        ("POSTAMT_SYNC_SERVICE_PORT", "tcp://10.0.0.1:80"),
        ("POSTAMT_SYNC_WEBHOOK_PORT", "8443"),
        ("POSTAMT_SYNC_ADMIN_PORT", "9125"),
        ("POSTAMT_SYNC_HOST", "10.0.0.1"),
        ("POSTAMT_SYNC_PORT_8080_TCP_PROTO", "http"),
        ("POSTAMT_SYNC_PORT_HTTP_TCP", "tcp://10.0.0.1:80"),
        ("POSTAMT_SYNC_POLL_INTERVAL", "60"),
        ("POSTAMT_SYNC_QUEUE_URL", "tcp://10.0.0.1:80"),
    ],
)
def test_a_mistyped_option_is_still_told(report: Report, name: str, value: str) -> None:
    (problem,) = report(TEXT, {**KUBERNETES, name: value})
    assert problem.key == name


def test_a_name_like_nothing(report: Report) -> None:
    (problem,) = report(TEXT, {"POSTAMT_SYNC_QQQQQQQQQQ": "1"})
    assert "POSTAMT_SYNC_POLL__INTERVAL" in problem.wrong


def test_a_name_cannot_write_to_the_terminal(report: Report) -> None:
    (problem,) = report(TEXT, {"POSTAMT_SYNC_\x1b[31m": "1"})
    assert problem.key == "POSTAMT_SYNC_\\x1b[31m"


def test_one_entry_of_the_mailboxes_has_no_name(report: Report) -> None:
    (problem,) = report(TEXT, {"POSTAMT_SYNC_MAILBOXES__0__NAME": "x"})
    assert problem.wrong == (
        "is no option; the whole list stands in POSTAMT_SYNC_MAILBOXES, as JSON."
    )


def test_all_bad_json_joins_the_report(report: Report) -> None:
    found = report(
        "[poll]\ninterval = 1\n" + TEXT,
        {
            "POSTAMT_SYNC_MAILBOXES": "[{",
            "POSTAMT_SYNC_STACK__DOMAINS": "example.com",
            "POSTAMT_SYNC_QUEUE": "{'url': ''}",
        },
    )
    assert [problem.key for problem in found] == [
        "poll.interval",
        "POSTAMT_SYNC_MAILBOXES",
        "POSTAMT_SYNC_QUEUE",
        "POSTAMT_SYNC_STACK__DOMAINS",
    ]
    assert found[1].example == (
        'POSTAMT_SYNC_MAILBOXES=\'[{"name": "thomas", '
        '"maildir": "/var/mail/vhosts/example.com/thomas/Maildir"}]\''
    )
    assert found[3].example == "POSTAMT_SYNC_STACK__DOMAINS='[\"example.com\"]'"


@pytest.mark.parametrize("name", ["POSTAMT_SYNC_QUEUE", "POSTAMT_SYNC_MAILBOXES"])
def test_null_is_no_value(report: Report, name: str) -> None:
    (problem,) = report(TEXT, {name: "null"})
    assert (problem.key, problem.wrong) == (name, "must be JSON, and not null.")


def test_json_that_is_nested_too_deeply_is_bad_json(report: Report) -> None:
    (problem,) = report(TEXT, {"POSTAMT_SYNC_QUEUE": "[" * 100_000})
    assert problem.wrong == "must be JSON, and not null."


def test_a_wrong_value_names_its_variable(report: Report) -> None:
    (problem,) = report(TEXT, {"POSTAMT_SYNC_POLL__INTERVAL": "soon"})
    assert problem.key == "poll.interval (from POSTAMT_SYNC_POLL__INTERVAL)"
    assert problem.wrong == "must be a number."


def test_a_wrong_value_inside_json_names_its_variable(report: Report) -> None:
    mailboxes = '[{"name": "anna", "maildir": "mail"}]'
    (problem,) = report(MINIMAL, {"POSTAMT_SYNC_MAILBOXES": mailboxes})
    assert problem.key == "mailboxes[anna].maildir (from POSTAMT_SYNC_MAILBOXES)"


def test_json_of_the_wrong_kind(report: Report) -> None:
    assert [p.wrong for p in report(TEXT, {"POSTAMT_SYNC_POLL": "[1]"})] == ["must be a table."]
    (problem,) = report(MINIMAL, {"POSTAMT_SYNC_MAILBOXES": "3"})
    assert problem.wrong == "must be a list of tables, double brackets."


def test_credentials_are_refused_and_not_repeated(report: Report) -> None:
    (problem,) = report(TEXT, {"POSTAMT_SYNC_AWS__SECRET_ACCESS_KEY": "hunter2"})
    assert "credentials never stand here" in problem.wrong
    assert "hunter2" not in str(problem)


def test_what_reads_variables_is_loaded_where_there_is_one() -> None:
    code = """
import sys
from postamt_sync.config.environment import Environment
for environ in ({"HOME": "/"}, {"POSTAMT_SYNC_CONFIG": "/c"}, {"POSTAMT_SYNC_STATE_DIR": "/s"}):
    Environment(environ)
    print("pydantic_settings" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]
