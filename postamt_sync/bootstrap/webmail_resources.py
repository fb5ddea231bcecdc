"""The resources of the webmail, in order of creation."""

from __future__ import annotations

from dataclasses import dataclass

from postamt_sync.aws.webmail_zip import webmail_zip
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.plan import Resource
from postamt_sync.bootstrap.resources.certificate import CertificateResource
from postamt_sync.bootstrap.resources.distribution import DistributionResource
from postamt_sync.bootstrap.resources.edge_policy import (
    origin_access,
    origin_request,
    page_headers,
)
from postamt_sync.bootstrap.resources.http_api import HttpApiResource
from postamt_sync.bootstrap.resources.log_group import LogGroupResource
from postamt_sync.bootstrap.resources.role import RoleResource
from postamt_sync.bootstrap.resources.secret_parameter import SecretParameterResource
from postamt_sync.bootstrap.resources.site_bucket import SiteBucketResource
from postamt_sync.bootstrap.resources.site_files import SiteFilesResource
from postamt_sync.bootstrap.resources.site_policy import SitePolicyResource
from postamt_sync.bootstrap.resources.table import records_table
from postamt_sync.bootstrap.resources.webmail_function import WebmailFunctionResource
from postamt_sync.bootstrap.webmail_policies import webmail_policy
from postamt_sync.bootstrap.webmail_stack import WebmailStack


@dataclass(frozen=True, slots=True)
class WebmailParts:
    """The resources that are also used outside the plan."""

    certificate: CertificateResource
    api: HttpApiResource
    session_keys: SecretParameterResource
    device_keys: SecretParameterResource
    origin_secret: SecretParameterResource
    distribution: DistributionResource


def parts(stack: WebmailStack, aws: AwsClient) -> WebmailParts:
    """Return these resources; nothing is read or written."""

    def parameter(name: str, what: str) -> SecretParameterResource:
        return SecretParameterResource(stack, aws, name, what)

    certificate = CertificateResource(stack, aws)
    api = HttpApiResource(stack, aws)
    secret = parameter(stack.origin_secret, "the secret between CloudFront and the function")
    distribution = DistributionResource(
        stack,
        aws,
        certificate,
        api,
        secret,
        origin_access(stack, aws),
        origin_request(stack, aws),
        page_headers(stack, aws),
    )
    return WebmailParts(
        certificate,
        api,
        parameter(stack.session_keys, "the keys of sessions"),
        parameter(stack.device_keys, "the keys of known devices"),
        secret,
        distribution,
    )


def webmail_resources(stack: WebmailStack, aws: AwsClient) -> list[Resource]:
    """Return all resources of the webmail, each after those that it needs.

    The table is created first and so destroyed last: its existence shows that there is something to
    remove. The certificate comes early because it takes a while to be issued.
    """
    made = parts(stack, aws)
    edge = made.distribution
    return [
        records_table(stack, aws),
        made.certificate,
        SiteBucketResource(stack, aws),
        SiteFilesResource(stack, aws),
        made.session_keys,
        made.device_keys,
        made.origin_secret,
        RoleResource(stack, aws, "postamt-sync: the webmail's function", webmail_policy(stack)),
        LogGroupResource(stack, aws),
        WebmailFunctionResource(stack, aws, made.api, webmail_zip),
        made.api,
        edge.access,
        edge.handed_on,
        edge.headers,
        edge,
        SitePolicyResource(stack, aws, edge),
    ]
