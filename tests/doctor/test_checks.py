"""The whole command against an emulated account: all well, and then one link broken at a time."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from typing import Any

import pytest

from postamt_sync.aws.clients import LOOKING
from postamt_sync.bootstrap.key_file import SyncKeyFile
from postamt_sync.bootstrap.open_stack import open_stack
from postamt_sync.cli.main import WIDTH, run
from postamt_sync.config import load
from postamt_sync.doctor.check import examine
from postamt_sync.doctor.checks import checks
from postamt_sync.doctor.finding import Severity
from postamt_sync.errors import ExitCode
from postamt_sync.ledger.store import FILE_NAME
from tests.doctor.box import DOMAIN, Box
from tests.doubles.dns import Fault

LINKS = (
    "configuration",
    "clock",
    "credentials",
    "DNS",
    "SES identity",
    "SES sending",
    "SMTP user",
    "receipt rule",
    "bucket",
    "topic",
    "announcements",
    "queue",
    "dead letters",
    "queue's subscription",
    "index function",
    "permission",
    "waiting",
    "subscription",
    "webhook",
    "certificate",
    "ledger",
    "disk",
    "mailbox",
    "Dovecot",
    "service",
    "last mail",
)


async def test_where_all_is_well_nothing_fails(box: Box) -> None:
    found = await box.find()
    assert [f for f in found if f["outcome"] == "failure"] == []
    assert box.code == ExitCode.OK
    assert all(f["remedy"] for f in found if f["outcome"] == "warning")
    seen = [max(filter(f["subject"].startswith, LINKS), key=len) for f in found]
    assert list(dict.fromkeys(seen)) == list(LINKS)


async def test_for_people_it_fits_80_columns(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    ours = ["--config", str(box.config), "--resolver", box.server.address]
    assert await asyncio.to_thread(run, ["doctor", *ours]) == ExitCode.OK
    out = box.capsys.readouterr().out
    assert "\n0 failures, " in out
    assert "ok   clock\n     The clock agrees with that of AWS.\n" in out


def test_help_fits_80_columns_and_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "Examples:" in out
    assert max(map(len, out.splitlines())) <= WIDTH


async def test_a_configuration_with_problems_names_each(box: Box) -> None:
    box.edit('region = "eu-west-1"', 'region = "mars"')
    failure = await box.failure("configuration aws.region")
    assert "eu-west-1" in failure["remedy"]


async def test_a_configuration_that_differs_from_the_stack(box: Box) -> None:
    box.edit('table = "postamt"', 'table = ""')
    found = await box.find()
    warnings = [f["words"] for f in found if f["subject"] == "configuration"]
    assert any("index.table" in words for words in warnings)


async def test_credentials_that_aws_cannot_know(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    failure = await box.failure("credentials")
    assert "no AWS credentials" in failure["words"]
    assert "/etc/postamt-sync/credentials" in failure["remedy"]
    rule = next(f for f in box.findings if f["subject"] == "receipt rule")
    assert (rule["outcome"], rule["words"][:11]) == ("warning", "Not checked")
    assert any(f["subject"] == f"DNS MX {DOMAIN}" and f["outcome"] == "ok" for f in box.findings)


async def test_a_missing_mx(box: Box) -> None:
    box.server.remove(DOMAIN, "MX")
    assert "inbound-smtp" in (await box.failure(f"DNS MX {DOMAIN}"))["remedy"]


async def test_a_name_server_that_does_not_answer_holds_up_nothing(box: Box) -> None:
    box.server.faults[DOMAIN] = Fault.SILENT
    failures = [f["subject"] for f in await box.find() if f["outcome"] == "failure"]
    assert failures
    assert all(subject.startswith("DNS ") for subject in failures)


async def test_an_identity_that_ses_does_not_know(box: Box) -> None:
    box.account.client("sesv2").delete_email_identity(EmailIdentity=DOMAIN)
    failure = await box.failure(f"SES identity {DOMAIN}")
    assert "bootstrap apply" in failure["remedy"]


async def test_no_active_rule_set(box: Box) -> None:
    box.account.client("ses").set_active_receipt_rule_set()
    assert "takes no mail" in (await box.failure("receipt rule"))["words"]


async def test_a_rule_that_was_changed_by_hand(box: Box) -> None:
    ses = box.account.client("ses")
    (rule,) = ses.describe_active_receipt_rule_set()["Rules"]
    ses.update_receipt_rule(RuleSetName="postamt", Rule={**rule, "ScanEnabled": False})
    assert "bootstrap apply" in (await box.failure("receipt rule"))["remedy"]


async def test_a_bucket_without_its_policy(box: Box) -> None:
    box.account.client("s3").delete_bucket_policy(Bucket=box.stack.bucket)
    assert "bootstrap apply" in (await box.failure("bucket"))["remedy"]


async def test_a_bucket_that_announces_nothing(box: Box) -> None:
    box.account.client("s3").put_bucket_notification_configuration(
        Bucket=box.stack.bucket, NotificationConfiguration={}
    )
    assert "bootstrap apply" in (await box.failure("announcements"))["remedy"]


async def test_a_topic_with_another_policy(box: Box) -> None:
    box.account.client("sns").set_topic_attributes(
        TopicArn=box.stack.topic_arn,
        AttributeName="Policy",
        AttributeValue='{"Version":"2012-10-17","Statement":[]}',
    )
    assert "bootstrap apply" in (await box.failure("topic"))["remedy"]


async def test_a_queue_that_nobody_tells(box: Box) -> None:
    sns = box.account.client("sns")
    every = sns.list_subscriptions_by_topic(TopicArn=box.stack.topic_arn)["Subscriptions"]
    (ours,) = (s for s in every if s["Endpoint"] == box.stack.queue_arn(box.stack.queue))
    sns.unsubscribe(SubscriptionArn=ours["SubscriptionArn"])
    assert "bootstrap apply" in (await box.failure("queue's subscription"))["remedy"]


async def test_a_table_that_is_not_there(box: Box) -> None:
    dynamodb = box.account.client("dynamodb")
    dynamodb.update_table(TableName=box.stack.table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=box.stack.table)
    failure = await box.failure("permission index")
    assert "no table postamt" in failure["words"]


async def test_what_waits_in_a_queue_and_is_not_taken_from_the_daemon(box: Box) -> None:
    sqs = box.account.client("sqs")
    url = sqs.get_queue_url(QueueName=box.stack.dead_letter_queue)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="a notification")
    found = {f["subject"]: f for f in await box.find()}
    assert found["waiting in dead letters"]["outcome"] == "warning"
    assert "1 message waiting" in found["waiting in dead letters"]["words"]
    left = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0)["Messages"]
    assert [m["Body"] for m in left] == ["a notification"]


async def test_an_aws_that_never_answers_is_not_waited_for(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(box.config, {})
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        every = checks(settings, lambda: open_stack(settings, LOOKING), lambda: box.server.resolver)
        found = await examine(every, seconds=2)
    outcomes = {f.subject: f.outcome for f in found}
    assert outcomes["credentials"] is Severity.FAILURE
    assert outcomes["clock"] is Severity.FAILURE
    assert outcomes["mailbox anna"] is Severity.OK
    assert outcomes["ledger"] is Severity.OK


async def test_a_webhook_behind_a_broken_proxy(box: Box) -> None:
    box.status = 502
    assert "proxy" in (await box.failure("webhook"))["remedy"]


async def test_a_chain_that_nobody_believes(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    failure = await box.failure("webhook")
    assert "not trusted" in failure["words"]
    assert "fullchain.pem" in failure["remedy"]


async def test_a_certificate_without_its_key(box: Box) -> None:
    (box.base / "tls/privkey.pem").write_text("no key")
    await box.failure("certificate")


async def test_a_damaged_ledger(box: Box) -> None:
    ledger = box.base / "state" / FILE_NAME
    ledger.write_bytes(ledger.read_bytes()[:8192] + b"\xff" * 40_000)
    await box.find()
    failures = [f["subject"] for f in box.findings if f["outcome"] == "failure"]
    assert failures[0] == "ledger"
    assert box.code == ExitCode.FINDINGS


async def test_a_mailbox_that_cannot_be_written(box: Box) -> None:
    (box.maildir / "tmp").chmod(0o500)
    failure = await box.failure("mailbox anna")
    assert f"chmod u+rwx {box.maildir / 'tmp'}" in failure["remedy"]


PERMISSIONS = {
    "ListMail": {"s3:ListBucket"},
    "ReadMail": {"s3:GetObject"},
    "ConsumeQueues": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"},
    "ReadIndex": {"dynamodb:BatchGetItem"},
    "ReadMetrics": {"cloudwatch:ListMetrics", "cloudwatch:GetMetricStatistics"},
    "SubscribeWebhook": {"sns:Subscribe"},
    "ConfirmWebhook": {"sns:ConfirmSubscription"},
    "LookAfterWebhook": {"sns:GetSubscriptionAttributes"},
}


@pytest.mark.parametrize("sid", ["", *PERMISSIONS])
async def test_what_the_daemon_may_not_do_is_named(
    box: Box, sid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the sync user's own key, one statement of its policy taken away: what AWS then refuses
    is a failure, what that user need not see a warning."""
    iam, user = box.account.client("iam"), box.stack.sync_user
    (name,) = iam.list_user_policies(UserName=user)["PolicyNames"]
    policy = iam.get_user_policy(UserName=user, PolicyName=name)["PolicyDocument"]
    statements = [as_enforced(s) for s in policy["Statement"] if s["Sid"] != sid]
    assert len(statements) == len(policy["Statement"]) - bool(sid)
    document = json.dumps({**policy, "Statement": statements})
    iam.put_user_policy(UserName=user, PolicyName=name, PolicyDocument=document)
    keys = box.account.keys / "credentials"
    assert SyncKeyFile(keys, user).key_id()
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    enforce(box.account.emulator.url, "0")
    try:
        found = await box.find()
    finally:
        enforce(box.account.emulator.url, "inf")
    failures = [f for f in found if f["outcome"] == "failure"]
    named = {action for a in PERMISSIONS.values() for action in a if str(failures).count(action)}
    assert named == PERMISSIONS.get(sid, set()), failures
    assert all("bootstrap apply" in f["remedy"] for f in failures)
    identity = next(f for f in found if f["subject"] == "SES identity")
    assert identity["outcome"] == "warning"
    assert "ses:GetEmailIdentity" in identity["words"]
    assert "administrator" in identity["remedy"]


def as_enforced(statement: dict[str, Any]) -> dict[str, Any]:
    """As the emulator can hold us to it: of DynamoDB and SNS it knows actions, no resources, and
    CloudWatch's actions it takes for those of `monitoring`, as its requests are signed."""
    actions = statement["Action"]
    every = [actions] if isinstance(actions, str) else actions
    if every[0].startswith(("dynamodb:", "sns:")):
        return {**statement, "Resource": "*"}
    return {**statement, "Action": [a.replace("cloudwatch:", "monitoring:") for a in every]}


def enforce(url: str, after: str) -> None:
    """Let the emulator hold everybody to the policies after so many more calls."""
    request = urllib.request.Request(
        f"{url}/moto-api/reset-auth",
        data=after.encode(),
        headers={"Content-Type": "application/octet-stream"},
    )
    urllib.request.urlopen(request).close()
