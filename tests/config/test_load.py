from __future__ import annotations

import os
from pathlib import Path

import pytest

from postamt_sync.config import ListenAddress, load
from postamt_sync.errors import ConfigurationError, ExitCode, Problem
from tests.config.conftest import MINIMAL, ONE_MAILBOX, WEBHOOK, Read, Report

PINNED = 'topic_arn = "arn:aws:sns:eu-west-1:123456789012:postamt"\n'


def failure(path: Path | None, environ: dict[str, str]) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ)
    return caught.value


def test_defaults_are_those_of_the_example(read: Read) -> None:
    settings = read()
    assert settings.state_dir == Path("/var/lib/postamt-sync")
    assert settings.bucket.prefix == "incoming/"
    assert settings.webhook is None
    assert settings.poll.interval == 300
    assert settings.poll.reconcile_interval == 86_400
    assert settings.delivery.envelope_grace == 900
    assert settings.admin.listen == "127.0.0.1:9125"


def test_without_recent_prefix_the_poll_lists_everything(read: Read) -> None:
    assert read().bucket.recent_prefix == ""


def test_webhook(read: Read) -> None:
    webhook = read(MINIMAL + WEBHOOK + ONE_MAILBOX).webhook
    assert webhook is not None
    assert webhook.listen == (ListenAddress("0.0.0.0", 8443), ListenAddress("::", 8443))
    assert webhook.path == "/sns"
    assert webhook.tls_certificate is None
    assert webhook.tls_key is None


def test_empty_certificate_and_key_mean_plain_http(read: Read) -> None:
    empty = 'tls_certificate = ""\ntls_key = ""\n'
    webhook = read(MINIMAL + WEBHOOK + empty + ONE_MAILBOX).webhook
    assert webhook is not None
    assert (webhook.tls_certificate, webhook.tls_key) == (None, None)


def test_one_listen_address_needs_no_list(read: Read) -> None:
    webhook = read(MINIMAL + WEBHOOK + 'listen = "[::1]:0"\n' + ONE_MAILBOX).webhook
    assert webhook is not None
    assert webhook.listen == (ListenAddress("::1", 0),)


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ('["127.0.0.1", "10.0.0.0/8", "2001:db8::/48"]', "127.0.0.1/32 10.0.0.0/8 2001:db8::/48"),
        ('"::1"', "::1/128"),
        ("[]", ""),
    ],
)
def test_trusted_proxies(read: Read, text: str, networks: str) -> None:
    webhook = read(MINIMAL + WEBHOOK + f"trusted_proxies = {text}\n" + ONE_MAILBOX).webhook
    assert webhook is not None
    assert webhook.trusted_proxies == tuple(networks.split())


def test_a_network_that_is_none_is_named(report: Report) -> None:
    proxies = 'trusted_proxies = ["127.0.0.1", "10.0.0.1/8"]\n'
    (problem,) = report(MINIMAL + WEBHOOK + proxies + ONE_MAILBOX)
    assert problem.key == "webhook.trusted_proxies[#2]"
    assert problem.wrong == "must be a network without bits of a host: 10.0.0.0/8."
    assert problem.example == 'trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]'


def test_the_topic_is_the_webhooks_or_the_queues(read: Read) -> None:
    assert read().topic_arn == ""
    both = read(MINIMAL + WEBHOOK + f"[queue]\n{PINNED}" + ONE_MAILBOX)
    assert both.topic_arn == read(MINIMAL + f"[queue]\n{PINNED}" + ONE_MAILBOX).topic_arn != ""
    assert read(MINIMAL + WEBHOOK + ONE_MAILBOX).topic_arn == both.topic_arn


def test_a_single_mailbox_is_the_default(read: Read) -> None:
    settings = read()
    assert settings.default_mailbox.name == "anna"
    assert settings.default_mailbox.default


def test_the_marked_mailbox_is_the_default(read: Read) -> None:
    second = '[[mailboxes]]\nname = "ben"\nmaildir = "/mail/ben"\ndefault = true\n'
    assert read(MINIMAL + ONE_MAILBOX + second).default_mailbox.name == "ben"


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("", True),
        (WEBHOOK, False),
        (WEBHOOK + "[queue]\nlong_poll = true\n", True),
        ("[queue]\nlong_poll = false\n", False),
    ],
)
def test_long_poll_unless_the_webhook_does_it(read: Read, extra: str, expected: bool) -> None:
    assert read(MINIMAL + extra + ONE_MAILBOX).queue.long_poll is expected


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("", 0),
        (WEBHOOK, 900),
        (f'[queue]\nurl = "https://sqs.eu-west-1.amazonaws.com/1/a"\n{PINNED}', 900),
        (f'[queue]\ndead_letter_url = "https://sqs.eu-west-1.amazonaws.com/1/a"\n{PINNED}', 900),
        ('[index]\ntable = "postamt"\n', 900),
    ],
)
def test_grace_only_where_an_envelope_can_come(read: Read, extra: str, expected: int) -> None:
    settings = read(MINIMAL + extra + ONE_MAILBOX)
    assert settings.effective_envelope_grace == expected
    assert settings.delivery.envelope_grace == 900


def test_settings_are_frozen(read: Read) -> None:
    with pytest.raises(ValueError, match="frozen"):
        read().poll.interval = 5


def test_every_problem_at_once_in_the_order_of_the_file(report: Report) -> None:
    found = report(
        """
        [poll]
        interval = 3
        reconcile_interval = "soon"
        [aws]
        regon = "eu-west-1"
        [[mailboxes]]
        name = "anna"
        maildir = "mail/anna"
        default = true
        [[mailboxes]]
        name = "ben"
        maildir = "/mail/ben"
        default = true
        [bucket]
        name = "X"
        """
    )
    assert [problem.key for problem in found] == [
        "poll.interval",
        "poll.reconcile_interval",
        "aws.regon",
        "aws.region",
        "mailboxes[anna].maildir",
        "mailboxes[ben].default",
        "bucket.name",
    ]
    assert all(problem.wrong.endswith((".", "?")) for problem in found)


def test_each_problem_has_an_example_of_right(report: Report) -> None:
    found = report("[poll]\ninterval = 3\n" + MINIMAL + ONE_MAILBOX)
    assert found == [Problem("poll.interval", "must be at least 10.", "interval = 300")]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("[poll]\nintervall = 60\n", "is no option; did you mean interval?"),
        ("[pol]\ninterval = 60\n", "is no option; did you mean poll?"),
        ("[aws2]\n", "is no option; did you mean aws?"),
        (
            "[admin]\nstate_dir = '/x'\n",
            "is no option; did you mean state_dir above the first table?",
        ),
        (
            "[poll]\nenvelope_grace = 1\n",
            "is no option; did you mean envelope_grace in the table delivery?",
        ),
        ("[index]\nzzz = 1\n", "is no option; here belong: table."),
    ],
)
def test_unknown_keys(report: Report, line: str, wrong: str) -> None:
    assert [problem.wrong for problem in report(line + MINIMAL + ONE_MAILBOX)] == [wrong]


@pytest.mark.parametrize(
    "key", ["aws_secret_access_key", "access_key_id", "session_token", "password"]
)
def test_credentials_are_refused_and_not_repeated(report: Report, key: str) -> None:
    text = MINIMAL.replace("[bucket]", f'{key} = "hunter2"\n[bucket]') + ONE_MAILBOX
    (problem,) = report(text)
    assert problem.key == f"aws.{key}"
    assert "credentials never stand here" in problem.wrong
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        ("aws = 3\n", "aws", "must be a table."),
        ("state_dir = 3\n[aws]\nregion='eu-west-1'\n", "state_dir", "must be a path in quotes."),
        ("[aws]\nregion = 3\n", "aws.region", "must be text in quotes."),
        (
            "[aws]\nregion='eu-west-1'\n[queue]\nlong_poll = 'perhaps'\n",
            "queue.long_poll",
            "must be true or false.",
        ),
        (
            "[aws]\nregion='eu-west-1'\n[poll]\ninterval = nan\n",
            "poll.interval",
            "must be a number.",
        ),
        (
            "[aws]\nregion='eu-west-1'\n[poll]\ninterval = [1]\n",
            "poll.interval",
            "must be a number.",
        ),
        (
            "[aws]\nregion='eu-west-1'\n[poll]\ninterval = 1e9\n",
            "poll.interval",
            "must be at most 86400.",
        ),
        (
            "[aws]\nregion='eu-west-1'\n[stack]\ndomains = 'a.b'\n",
            "stack.domains",
            "must be a list in [ ].",
        ),
        (
            "[aws]\nregion='eu-west-1'\n[stack]\ntls_policy = 'no'\n",
            "stack.tls_policy",
            'must be "require" or "optional".',
        ),
    ],
)
def test_wrong_types_in_our_own_words(report: Report, text: str, key: str, wrong: str) -> None:
    found = report(text + '[bucket]\nname = "mail-bucket"\n' + ONE_MAILBOX)
    assert [(problem.key, problem.wrong) for problem in found] == [(key, wrong)]


@pytest.mark.parametrize(
    ("listen", "key", "wrong"),
    [
        ("[]", "webhook.listen", "must not be empty."),
        ('"x"', "webhook.listen[#1]", "must be host:port, an IPv6 host in brackets."),
    ],
)
def test_a_bad_item_is_not_also_a_missing_one(
    report: Report, listen: str, key: str, wrong: str
) -> None:
    (problem,) = report(MINIMAL + WEBHOOK + f"listen = {listen}\n" + ONE_MAILBOX)
    assert (problem.key, problem.wrong) == (key, wrong)


def test_single_brackets_around_mailboxes(report: Report) -> None:
    (problem,) = report(MINIMAL + ONE_MAILBOX.replace("[[", "[").replace("]]", "]"))
    assert problem == Problem(
        "mailboxes", "must be a list of tables, double brackets.", "[[mailboxes]]"
    )


def test_mailboxes_without_unique_name_are_counted(report: Report) -> None:
    keys = [p.key for p in report(MINIMAL + '[[mailboxes]]\nmaildir = "x"\n')]
    assert keys == ["mailboxes[#1].maildir", "mailboxes[#1].name"]


def test_no_mailboxes(report: Report) -> None:
    assert [p.key for p in report(MINIMAL)] == ["mailboxes"]
    (problem,) = report("mailboxes = []\n" + MINIMAL)
    assert problem.wrong == "must have at least one entry."


def test_foreign_keys_are_made_printable(report: Report) -> None:
    (problem,) = report('"\\u001b[31m" = 1\n' + MINIMAL + ONE_MAILBOX)
    assert problem.key == "\\x1b[31m"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[aws]\nregion = eu-west-1\n", "line 2, column 10"),
        ("[aws\n", "line 1, column 5"),
        ("a = 1\n[aws]\nx = '''", "line 3"),
    ],
)
def test_syntax_errors_name_the_line(report: Report, text: str, key: str) -> None:
    (problem,) = report(text)
    assert problem.key == key
    assert problem.wrong.startswith("is not TOML: ")


def test_the_line_of_a_syntax_error_is_not_shown(report: Report) -> None:
    (problem,) = report("aws_secret_access_key = hunter2\n")
    assert "hunter2" not in str(problem)


def test_a_byte_order_mark_is_no_problem(read: Read) -> None:
    assert read("\ufeff" + MINIMAL + ONE_MAILBOX).aws.region == "eu-west-1"


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"[aws]\n# gr\xfc\xdfe\n")
    assert failure(path, {}).problems == (Problem("line 2", "must be UTF-8 text."),)


@pytest.mark.parametrize(
    ("by_option", "by_variable", "reason"),
    [
        (True, False, "It was given with --config."),
        (True, True, "It was given with --config."),
        (False, True, "It was given with $POSTAMT_SYNC_CONFIG."),
    ],
)
def test_missing_file(tmp_path: Path, by_option: bool, by_variable: bool, reason: str) -> None:
    path = tmp_path / "none.toml"
    environ = {"POSTAMT_SYNC_CONFIG": str(path)} if by_variable else {}
    error = failure(path if by_option else None, environ)
    assert error.exit_code is ExitCode.CONFIGURATION
    (problem,) = error.problems
    assert problem.key == str(path)
    assert problem.wrong == f"there is no such file. {reason}"


def test_a_missing_file_does_not_hide_mistyped_variables(tmp_path: Path) -> None:
    error = failure(tmp_path / "none.toml", {"POSTAMT_SYNC_POL__INTERVAL": "1"})
    assert len(error.problems) == 2


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    (problem,) = failure(tmp_path, {}).problems
    assert problem.wrong.startswith("cannot be read: Is a directory.")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(MINIMAL)
    path.chmod(0)
    (problem,) = failure(path, {}).problems
    assert problem.wrong == f"must be readable by user {os.geteuid()}, who runs this."


def test_the_variable_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(MINIMAL + ONE_MAILBOX)
    settings = load(None, {"POSTAMT_SYNC_CONFIG": str(path)})
    assert settings.source == str(path)


def test_the_whole_process_environment_is_not_needed(read: Read) -> None:
    settings = read(MINIMAL + ONE_MAILBOX, {"PATH": "/bin", "POSTAMT_OTHER": "x"})
    assert settings.origin("poll.interval") == "default"
    assert settings.origin("aws.region") == "file"
    assert settings.origin("mailboxes.name") == "file"
