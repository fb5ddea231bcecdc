"""The webmail at AWS: made, mended, killed after every call, refused where it is another's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from postamt_sync.bootstrap.plan import carry_out, plan
from postamt_sync.bootstrap.stack_part import usual_bucket
from postamt_sync.bootstrap.webmail_resources import webmail_resources
from postamt_sync.webmail.gate import BY_ITSELF, OF_MAILBOX
from postamt_sync.webmail.key_ring import KeyRing
from postamt_sync.webmail.site import HEADERS, site
from tests.doubles.account import ACCOUNT, Account, KilledError, changes, conflicts
from tests.doubles.moto import REGION
from tests.doubles.webmail_account import WEBMAIL, apply, have, planned

ELSEWHERE = replace(WEBMAIL, host="webmail.example.com")
"""A name that the DNS has no record of."""

SITE = WEBMAIL.site_bucket


@pytest.fixture
def made(account: Account) -> Account:
    have(account)
    return account


def distribution(account: Account) -> dict[str, Any]:
    (found,) = account.client("cloudfront").list_distributions()["DistributionList"]["Items"]
    config: dict[str, Any] = account.client("cloudfront").get_distribution_config(Id=found["Id"])
    return config["DistributionConfig"]


def test_once_made_there_is_nothing_left_to_do(made: Account) -> None:
    again = planned(made)
    assert (changes(again), again.conflicts, again.notes) == ([], [], [])
    assert apply(made) == 0


def test_it_waits_for_the_certificate_and_says_which_record_it_takes(account: Account) -> None:
    apply(account, ELSEWHERE)
    waiting = planned(account, ELSEWHERE)
    assert changes(waiting) == []
    told = {title: note.message for title, note in waiting.notes}
    record = told["certificate of webmail.example.com in us-east-1"]
    assert "_d930b28be6c5927595552b219965053e.webmail.example.com CNAME " in record
    assert "bootstrap dns" in record
    assert "waits for the certificate" in told["distribution postamt-webmail-eu-west-1"]
    assert not account.client("cloudfront").list_distributions()["DistributionList"].get("Items")


def test_with_the_record_in_the_dns_the_next_run_goes_on(account: Account) -> None:
    apply(account, ELSEWHERE)
    prove(account)
    apply(account, ELSEWHERE)
    assert changes(planned(account, ELSEWHERE)) == []
    assert distribution(account)["Aliases"]["Items"] == ["webmail.example.com"]


def prove(account: Account) -> None:
    """Write the record of every certificate into a hosted zone."""
    route53 = account.client("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="x")["HostedZone"]["Id"]
    for one in acm_in_virginia(account).list_certificates()["CertificateSummaryList"]:
        told = acm_in_virginia(account).describe_certificate(CertificateArn=one["CertificateArn"])
        record = told["Certificate"]["DomainValidationOptions"][0]["ResourceRecord"]
        put = {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": record["Name"],
                "Type": record["Type"],
                "TTL": 60,
                "ResourceRecords": [{"Value": record["Value"]}],
            },
        }
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [put]})


def acm_in_virginia(account: Account) -> Any:
    return account.aws().client("acm")


def test_killed_after_each_call_it_is_completed_by_the_next_runs(account: Account) -> None:
    """Each run does one thing and is killed; so each beginning that there is is gone on from."""
    for resource in webmail_resources(WEBMAIL, account.aws()):
        for _ in range(20):
            account.kill_after = len(account.writes) + 1
            try:
                carry_out(plan([resource]), account.aws(), lambda *_: None)
            except KilledError:
                continue
            break
    account.kill_after = None
    assert changes(planned(account)) == []
    assert len(account.client("apigatewayv2").get_apis()["Items"]) == 1
    assert account.writes.count("CreateDistributionWithTags") == 1
    assert account.writes.count("RequestCertificate") == 1
    assert account.writes.count("PutParameter") == 3


def test_the_page_lies_there_with_types_and_is_asked_for_again_each_time(made: Account) -> None:
    for path, file in site().items():
        if path == "/":
            continue
        got = made.client("s3").get_object(Bucket=SITE, Key=f"site{path}")
        assert (got["ContentType"], got["CacheControl"]) == (file.type, "no-cache")
        assert got["Body"].read() == file.content
    assert distribution(made)["DefaultRootObject"] == "index.html"


def test_the_bucket_is_private_but_for_our_distribution(made: Account) -> None:
    s3 = made.client("s3")
    blocked = s3.get_public_access_block(Bucket=SITE)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    policy = json.loads(s3.get_bucket_policy(Bucket=SITE)["Policy"])
    (allowed,) = [s for s in policy["Statement"] if s["Effect"] == "Allow"]
    (arn,) = [
        d["ARN"]
        for d in made.client("cloudfront").list_distributions()["DistributionList"]["Items"]
    ]
    assert allowed["Condition"] == {"StringEquals": {"AWS:SourceArn": arn}}
    assert allowed["Resource"] == f"arn:aws:s3:::{SITE}/site/*"
    assert allowed["Action"] == "s3:GetObject"
    assert "Status" not in s3.get_bucket_versioning(Bucket=SITE)


def test_headers_are_the_page_s_and_never_the_frame_s(made: Account) -> None:
    config = distribution(made)
    page = config["DefaultCacheBehavior"]
    (api,) = config["CacheBehaviors"]["Items"]
    assert "ResponseHeadersPolicyId" not in api
    policies = made.client("cloudfront").list_response_headers_policies(Type="custom")
    (held,) = policies["ResponseHeadersPolicyList"]["Items"]
    assert page["ResponseHeadersPolicyId"] == held["ResponseHeadersPolicy"]["Id"]
    said = held["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]
    secure = said["SecurityHeadersConfig"]
    csp = secure["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    assert "frame-ancestors 'none'" in csp
    assert f"connect-src 'self' https://{SITE}.s3.{REGION}.amazonaws.com" in csp
    assert secure["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31_536_000
    assert secure["ReferrerPolicy"]["ReferrerPolicy"] == "no-referrer"
    others = {h["Header"]: h["Value"] for h in said["CustomHeadersConfig"]["Items"]}
    assert others["Permissions-Policy"] == HEADERS["Permissions-Policy"]
    every = {*others, "Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"}
    assert {*every, "X-Frame-Options"} == HEADERS.keys()


def test_the_api_is_not_cached_and_hears_who_asks(made: Account) -> None:
    config = distribution(made)
    (api,) = config["CacheBehaviors"]["Items"]
    assert api["PathPattern"] == "/api/*"
    assert set(api["AllowedMethods"]["Items"]) >= {"GET", "POST", "PUT", "DELETE"}
    assert api["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    policies = made.client("cloudfront").list_origin_request_policies(Type="custom")
    (held,) = policies["OriginRequestPolicyList"]["Items"]
    assert api["OriginRequestPolicyId"] == held["OriginRequestPolicy"]["Id"]
    handed_on = held["OriginRequestPolicy"]["OriginRequestPolicyConfig"]
    headers = handed_on["HeadersConfig"]["Headers"]["Items"]
    assert "CloudFront-Viewer-Address" in headers
    assert "Host" not in headers
    assert handed_on["CookiesConfig"]["CookieBehavior"] == "all"


def test_what_a_front_reads_of_a_request_is_handed_on(made: Account) -> None:
    policies = made.client("cloudfront").list_origin_request_policies(Type="custom")
    (held,) = policies["OriginRequestPolicyList"]["Items"]
    config = held["OriginRequestPolicy"]["OriginRequestPolicyConfig"]
    headers = {h.lower() for h in config["HeadersConfig"]["Headers"]["Items"]}
    assert headers >= {"origin", "sec-fetch-site", BY_ITSELF, OF_MAILBOX, "content-type"}


def test_the_secret_is_the_parameter_s_and_stands_in_no_plan(account: Account) -> None:
    texts = [str(planned(account)), str(planned(account).as_json())]
    apply(account)
    apply(account)
    ssm = account.client("ssm")
    told = ssm.get_parameter(Name=WEBMAIL.origin_secret, WithDecryption=True)["Parameter"]
    word = KeyRing.from_text(told["Value"]).words[0]
    assert told["Type"] == "SecureString"
    origins = {o["Id"]: o for o in distribution(account)["Origins"]["Items"]}
    assert origins["api"]["CustomHeaders"]["Items"] == [
        {"HeaderName": "x-postamt-origin", "HeaderValue": word}
    ]
    assert origins["page"]["CustomHeaders"]["Quantity"] == 0
    assert not any(word in text for text in (*texts, str(planned(account))))


def test_three_rates_that_really_apply(made: Account) -> None:
    api = made.client("apigatewayv2")
    (found,) = api.get_apis()["Items"]
    stage = api.get_stage(ApiId=found["ApiId"], StageName="$default")
    rates = {
        route: (said["ThrottlingRateLimit"], said["ThrottlingBurstLimit"])
        for route, said in stage["RouteSettings"].items()
    }
    assert rates == {"POST /api/sign-in": (5, 10), "POST /api/sign-in/known": (5, 10)}
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 50
    # A rate is of a route that is there; of any other API Gateway would know nothing.
    routes = {route["RouteKey"] for route in api.get_routes(ApiId=found["ApiId"])["Items"]}
    assert routes == {*rates, "$default"}


def test_this_api_alone_may_call_the_function(made: Account) -> None:
    (found,) = made.client("apigatewayv2").get_apis()["Items"]
    policy = made.client("lambda").get_policy(FunctionName=WEBMAIL.function)["Policy"]
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{found['ApiId']}/*/*"
    assert source in str(statement["Condition"])


Drift = Callable[[Account], object]


def _api(account: Account) -> str:
    (found,) = account.client("apigatewayv2").get_apis()["Items"]
    return str(found["ApiId"])


def _change_distribution(account: Account, change: Callable[[dict[str, Any]], object]) -> None:
    client = account.client("cloudfront")
    (found,) = client.list_distributions()["DistributionList"]["Items"]
    told = client.get_distribution_config(Id=found["Id"])
    change(told["DistributionConfig"])
    client.update_distribution(
        Id=found["Id"], IfMatch=told["ETag"], DistributionConfig=told["DistributionConfig"]
    )


def _open_headers(account: Account) -> None:
    client = account.client("cloudfront")
    policies = client.list_response_headers_policies(Type="custom")
    (held,) = policies["ResponseHeadersPolicyList"]["Items"]
    id_ = held["ResponseHeadersPolicy"]["Id"]
    told = client.get_response_headers_policy(Id=id_)
    config = told["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]
    config["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"] = "x"
    client.update_response_headers_policy(
        Id=id_, IfMatch=told["ETag"], ResponseHeadersPolicyConfig=config
    )


DRIFTS: dict[str, tuple[Drift, str]] = {
    "a file": (
        lambda a: a.client("s3").put_object(Bucket=SITE, Key="site/app.js", Body=b"evil()"),
        "app.js: was changed",
    ),
    "a type": (
        lambda a: a.client("s3").put_object(
            Bucket=SITE, Key="site/style.css", Body=site()["/style.css"].content
        ),
        "style.css: was changed",
    ),
    "a file too many": (
        lambda a: a.client("s3").put_object(Bucket=SITE, Key="site/old.js", Body=b""),
        "site/old.js, not part of the page: delete",
    ),
    "a file missing": (
        lambda a: a.client("s3").delete_object(Bucket=SITE, Key="site/api.js"),
        "1 file: create",
    ),
    "opened": (
        lambda a: a.client("s3").delete_public_access_block(Bucket=SITE),
        "public access: block",
    ),
    "policy": (
        lambda a: a.client("s3").delete_bucket_policy(Bucket=SITE),
        "only our distribution may read the page",
    ),
    "day": (
        lambda a: a.client("s3").delete_bucket_lifecycle(Bucket=SITE),
        "files in day/ expire after a day",
    ),
    "cors": (
        lambda a: a.client("s3").delete_bucket_cors(Bucket=SITE),
        "only https://webmail.verified.example may upload there",
    ),
    "rate": (
        lambda a: a.client("apigatewayv2").update_stage(
            ApiId=_api(a), StageName="$default", RouteSettings={}
        ),
        "stage: was changed",
    ),
    "route": (
        lambda a: a.client("apigatewayv2").create_route(ApiId=_api(a), RouteKey="GET /"),
        "a route that is not ours: delete",
    ),
    "permission": (
        lambda a: a.client("lambda").remove_permission(
            FunctionName=WEBMAIL.function, StatementId="PostamtWebmailInvoke"
        ),
        "permit",
    ),
    "time to live": (
        lambda a: a.client("dynamodb").update_time_to_live(
            TableName=WEBMAIL.table,
            TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires"},
        ),
        "expiry of records",
    ),
    "parameter": (
        lambda a: a.client("ssm").delete_parameter(Name=WEBMAIL.session_keys),
        "create, and generate the keys of sessions",
    ),
    "parameter of nothing": (
        lambda a: a.client("ssm").put_parameter(
            Name=WEBMAIL.device_keys, Value="x", Type="SecureString", Overwrite=True
        ),
        "cannot be read: create a new one",
    ),
    "old TLS": (
        lambda a: _change_distribution(
            a, lambda c: c["ViewerCertificate"].update(MinimumProtocolVersion="TLSv1")
        ),
        "distribution postamt-webmail-eu-west-1: was changed, restore it",
    ),
    "headers": (
        _open_headers,
        "response headers policy postamt-webmail-eu-west-1: was changed, restore it",
    ),
}


def test_what_was_changed_is_told_and_put_right(made: Account) -> None:
    for change, _ in DRIFTS.values():
        change(made)
    told = changes(planned(made))
    missing = [d for d, (_, said) in DRIFTS.items() if not any(said in line for line in told)]
    assert missing == [], told
    apply(made)
    assert changes(planned(made)) == []


def test_where_the_api_is_another_the_distribution_leads_there(made: Account) -> None:
    made.client("apigatewayv2").delete_api(ApiId=_api(made))
    told = "distribution postamt-webmail-eu-west-1: points to what was recreated"
    assert told in changes(planned(made))
    apply(made)
    origins = {o["Id"]: o["DomainName"] for o in distribution(made)["Origins"]["Items"]}
    assert origins["api"].startswith(f"{_api(made)}.execute-api.")
    assert changes(planned(made)) == []


def test_what_others_set_in_the_distribution_stays(made: Account) -> None:
    _change_distribution(made, lambda c: c.update(WebACLId="of-someone", Enabled=False))
    apply(made)
    config = distribution(made)
    assert (config["WebACLId"], config["Enabled"]) == ("of-someone", True)


def test_another_name_gets_another_certificate_and_the_old_one_goes(made: Account) -> None:
    moved = replace(WEBMAIL, host="post.verified.example")
    apply(made, moved)
    apply(made, moved)
    assert distribution(made)["Aliases"]["Items"] == ["post.verified.example"]
    left = acm_in_virginia(made).list_certificates()["CertificateSummaryList"]
    assert [one["DomainName"] for one in left] == ["post.verified.example"]
    assert changes(planned(made, moved)) == []


FOREIGN: dict[str, tuple[Drift, str]] = {
    "table": (
        lambda a: a.client("dynamodb").create_table(
            TableName=WEBMAIL.table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "x", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "x", "KeyType": "HASH"}],
        ),
        "table postamt-webmail: one of this name is there already",
    ),
    "bucket": (
        lambda a: (
            a.client("s3").create_bucket(
                Bucket=SITE, CreateBucketConfiguration={"LocationConstraint": REGION}
            ),
            a.client("s3").put_object(Bucket=SITE, Key="theirs", Body=b"x"),
        ),
        f"bucket {SITE}: one of this name is there already",
    ),
    "parameter": (
        lambda a: a.client("ssm").put_parameter(
            Name=WEBMAIL.origin_secret, Value="x", Type="String"
        ),
        "parameter /postamt/webmail/origin-secret: one of this name is there already",
    ),
    "headers": (
        lambda a: a.client("cloudfront").create_response_headers_policy(
            ResponseHeadersPolicyConfig={"Name": WEBMAIL.distribution, "Comment": "theirs"}
        ),
        "one of this name is there already",
    ),
}


def test_what_is_another_s_is_refused_before_anything_is_written(account: Account) -> None:
    for make, _ in FOREIGN.values():
        make(account)
    told = conflicts(planned(account))
    assert [t for t, (_, said) in FOREIGN.items() if not any(said in line for line in told)] == []


def test_a_name_that_another_distribution_has_is_refused(made: Account) -> None:
    other = replace(WEBMAIL, name="other")
    said = conflicts(planned(made, other))
    assert any("has the name webmail.verified.example already" in line for line in said)


def test_two_stacks_lie_side_by_side(made: Account) -> None:
    other = replace(WEBMAIL, name="other", host="other.verified.example")
    assert usual_bucket("other-webmail", ACCOUNT, REGION) == other.site_bucket
    assert conflicts(planned(made, other)) == []
