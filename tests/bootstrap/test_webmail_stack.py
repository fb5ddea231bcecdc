"""The webmail's names are such as AWS takes, whatever the stack is called and wherever it is."""

from __future__ import annotations

import re

import pytest

from postamt_sync.bootstrap.webmail_stack import WebmailStack

LONGEST = "a" * 30
BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


def webmail(name: str = "postamt", region: str = "eu-west-1", bucket: str = "mail") -> WebmailStack:
    return WebmailStack(name, "123456789012", region, "webmail.example.com", bucket)


def test_everything_bears_the_stacks_name() -> None:
    one = webmail()
    assert {one.table, one.function, one.role, one.api} == {"postamt-webmail"}
    assert one.log_group == "/aws/lambda/postamt-webmail"
    assert one.site_bucket == "postamt-webmail-123456789012-eu-west-1-an"
    assert one.parameters == (
        "/postamt/webmail/session-keys",
        "/postamt/webmail/device-keys",
        "/postamt/webmail/origin-secret",
    )
    assert one.distribution == "postamt-webmail-eu-west-1"
    assert one.origin == "https://webmail.example.com"


@pytest.mark.parametrize("region", ["eu-west-1", "ap-southeast-1", "me-south-1", "us-gov-west-1"])
@pytest.mark.parametrize("name", ["pos", "postamt", LONGEST, "a" * 23, "a" * 22 + "-b"])
def test_the_site_bucket_has_a_name_that_s3_takes(name: str, region: str) -> None:
    assert BUCKET.fullmatch(webmail(name, region).site_bucket)


def test_long_names_that_differ_at_the_end_have_different_buckets() -> None:
    assert webmail("a" * 29 + "b").site_bucket != webmail("a" * 29 + "c").site_bucket


def test_without_an_own_namespace_nobody_guesses_the_bucket_from_the_account_alone() -> None:
    assert (
        webmail(region="me-south-1").site_bucket
        != webmail(region="me-south-1", bucket="other").site_bucket
    )


@pytest.mark.parametrize("name", ["aws-mail", "ssm", "awstats"])
def test_parameters_avoid_what_ssm_keeps_to_itself(name: str) -> None:
    assert all(p.startswith(f"/stack-{name}/") for p in webmail(name).parameters)
