"""What AWS refuses of the webmail is named as IAM names it; certificates say why they failed."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from postamt_sync.bootstrap.aws_client import administrator_refusal
from postamt_sync.bootstrap.change import Change
from postamt_sync.bootstrap.resources.certificate import CertificateResource
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from postamt_sync.errors import PostamtError

WEBMAIL = WebmailStack("postamt", "123456789012", "eu-west-1", "webmail.example.com", "mail")


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("apigatewayv2", "CreateApi", "apigateway:POST"),
        ("apigatewayv2", "GetApis", "apigateway:GET"),
        ("apigatewayv2", "UpdateStage", "apigateway:PATCH"),
        ("apigatewayv2", "DeleteRoute", "apigateway:DELETE"),
        ("cloudfront", "CreateDistributionWithTags", "cloudfront:CreateDistribution"),
        ("cloudfront", "ListResponseHeadersPolicies", "cloudfront:ListResponseHeadersPolicies"),
        ("acm", "RequestCertificate", "acm:RequestCertificate"),
        ("ssm", "PutParameter", "ssm:PutParameter"),
        ("s3", "PutBucketCors", "s3:PutBucketCORS"),
        ("s3", "HeadObject", "s3:GetObject"),
        ("s3", "ListObjectsV2", "s3:ListBucket"),
        ("dynamodb", "UpdateTimeToLive", "dynamodb:UpdateTimeToLive"),
    ],
)
def test_the_action_that_is_missing_is_named(service: str, operation: str, action: str) -> None:
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, operation)
    assert action in str(administrator_refusal(service, error))


def test_what_aws_says_itself_counts_more() -> None:
    said = "User: x is not authorized to perform: apigateway:TagResource on resource: y"
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": said}}, "CreateApi")
    assert "apigateway:TagResource" in str(administrator_refusal("apigatewayv2", error))


class Acm:
    """Holds one certificate, in whatever state it is."""

    def __init__(self, **told: Any) -> None:
        self.told = {"DomainName": WEBMAIL.host, "Status": "FAILED", **told}

    def pages(self, *_: str, **__: Any) -> list[dict[str, str]]:
        return [{"CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/one"}]

    def read(self, _: str, operation: str, **__: Any) -> dict[str, Any]:
        if operation == "list_tags_for_certificate":
            tags = {"postamt:stack": "postamt", "postamt:region": "eu-west-1"}
            return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        return {"Certificate": self.told}


def planned(**told: Any) -> list[Change]:
    resource = CertificateResource(WEBMAIL, Acm(**told))  # type: ignore[arg-type]
    return [item for item in resource.plan() if isinstance(item, Change)]


def test_one_that_was_not_given_is_asked_for_again_and_says_why() -> None:
    (change,) = planned(FailureReason="CAA_ERROR")
    assert change.message == "ACM says FAILED CAA_ERROR: request it again"
    assert [c.operation for c in change.calls] == ["delete_certificate", "request_certificate"]


def test_one_that_cloudfront_has_is_not_deleted_before_there_is_another() -> None:
    (change,) = planned(Status="EXPIRED", InUseBy=["arn:aws:cloudfront::1:distribution/x"])
    assert [c.operation for c in change.calls] == ["request_certificate"]


def test_the_same_token_within_the_hour_asks_for_the_same_one() -> None:
    tokens = {
        call.parameters["IdempotencyToken"]
        for _ in range(2)
        for change in planned()
        for call in change.calls
        if call.operation == "request_certificate"
    }
    (token,) = tokens
    assert token.isalnum()
    assert len(token) <= 32


@pytest.mark.parametrize("name", ["", "a b.example.com", "x\n.example.com", "ä.example.com"])
def test_a_record_that_cannot_be_right_is_refused(name: str) -> None:
    record = {"Name": name, "Type": "CNAME", "Value": "v.acm-validations.aws."}
    with pytest.raises(PostamtError, match="cannot be right"):
        planned(Status="ISSUED", DomainValidationOptions=[{"ResourceRecord": record}])
