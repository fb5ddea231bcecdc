"""CloudFront: its kinds of policies, all settings of a distribution, and its order of deletion.

The emulator lacks the policies for requests and for headers, forgets settings of a distribution
that it does not know, and deletes a distribution that is still in service.
"""

from __future__ import annotations

import copy
from functools import partialmethod
from typing import Any

from moto.cloudfront.exceptions import CloudFrontException
from moto.cloudfront.models import CloudFrontBackend, Distribution, random_id
from moto.cloudfront.responses import CloudFrontResponse
from moto.cloudfront.urls import url_paths
from moto.core.responses import ActionResult, EmptyResult

from postamt_sync.demo.gaps.service_answers import answer_by

REQUEST, HEADERS = "OriginRequestPolicy", "ResponseHeadersPolicy"
"""The kinds of policies, by CloudFront's names."""
PATHS = [
    f"{{0}}/2020-05-31/{noun}{rest}$"
    for noun in ("origin-request-policy", "response-headers-policy")
    for rest in ("", "/(?P<policy_id>[^/]+)")
]
LOOKS = 2
"""How often a changed distribution still shows as being deployed."""

_INIT = CloudFrontBackend.__init__
_DELETE_ACCESS = CloudFrontBackend.delete_origin_access_control


class EdgeAnswers(CloudFrontResponse):  # type: ignore[misc]
    """Supports both kinds of policies, and keeps all settings of a distribution."""

    def _policies(self, kind: str) -> dict[str, dict[str, Any]]:
        held: dict[str, dict[str, Any]] = self.backend.postamt[kind]
        return held

    def _policy(self, kind: str) -> dict[str, Any]:
        found = self._policies(kind).get(self._get_param("Id"))
        if found is None:
            raise _refusal(f"NoSuch{kind}", 404)
        return found

    def _create_policy(self, kind: str) -> ActionResult:
        member = f"{kind}Config"
        config = self._get_param(member)
        held = self._policies(kind)
        if any(policy["it"][member]["Name"] == config["Name"] for policy in held.values()):
            raise _refusal(f"{kind}AlreadyExists", 409)
        it = {"Id": random_id(), "LastModifiedTime": "2026-11-27T10:34:26Z", member: config}
        held[it["Id"]] = {"it": it, "tag": random_id()}
        return _shown(held[it["Id"]], kind)

    def _get_policy(self, kind: str) -> ActionResult:
        return _shown(self._policy(kind), kind)

    def _update_policy(self, kind: str) -> ActionResult:
        found = self._policy(kind)
        self._match(found["tag"])
        found["it"][f"{kind}Config"] = self._get_param(f"{kind}Config")
        found["tag"] = random_id()
        return _shown(found, kind)

    def _delete_policy(self, kind: str) -> EmptyResult:
        found = self._policy(kind)
        self._match(found["tag"])
        used = found["it"]["Id"]
        if any(used in str(d.postamt) for d in self.backend.distributions.values()):
            raise _refusal(f"{kind}InUse", 409)
        del self._policies(kind)[used]
        return EmptyResult()

    def _list_policies(self, kind: str) -> ActionResult:
        items = [{"Type": "custom", kind: found["it"]} for found in self._policies(kind).values()]
        return ActionResult(
            {f"{kind}List": {"MaxItems": 100, "Quantity": len(items), "Items": items}}
        )

    def create_distribution_with_tags(self) -> ActionResult:
        config = self._get_param("DistributionConfigWithTags.DistributionConfig", {})
        kept = copy.deepcopy(config)
        taken = set(_aliases(kept))
        for other in self.backend.distributions.values():
            if taken & set(_aliases(other.postamt)):
                raise _refusal("CNAMEAlreadyExists", 409)
        answer = super().create_distribution_with_tags()
        distribution = answer.result["Distribution"]
        distribution.postamt = kept
        _begin(distribution)
        return answer

    def get_distribution_config(self) -> ActionResult:
        found, tag = self.backend.get_distribution(self._get_param("Id"))
        return ActionResult({"DistributionConfig": copy.deepcopy(found.postamt), "ETag": tag})

    def update_distribution(self) -> ActionResult:
        backend = self.backend
        found, tag = backend.get_distribution(self._get_param("Id"))
        self._match(tag)
        config = self._get_param("DistributionConfig", {})
        if config["CallerReference"] != found.postamt["CallerReference"]:
            raise _refusal("IllegalUpdate", 400)
        kept = copy.deepcopy(config)
        backend.update_distribution(config, found.distribution_id, tag)
        found.postamt = kept
        found.etag = random_id()
        _begin(found)
        return ActionResult({"Distribution": found, "ETag": found.etag})

    def delete_distribution(self) -> EmptyResult:
        backend = self.backend
        found, tag = backend.get_distribution(self._get_param("Id"))
        self._match(tag)
        if found.postamt["Enabled"] or found.status != "Deployed":
            raise _refusal("DistributionNotDisabled", 409)
        backend.delete_distribution(found.distribution_id, tag)
        return EmptyResult()

    def _match(self, tag: str) -> None:
        if self._get_param("IfMatch") != tag:
            raise _refusal("PreconditionFailed", 412)

    create_origin_request_policy = partialmethod(_create_policy, REQUEST)
    get_origin_request_policy = partialmethod(_get_policy, REQUEST)
    update_origin_request_policy = partialmethod(_update_policy, REQUEST)
    delete_origin_request_policy = partialmethod(_delete_policy, REQUEST)
    list_origin_request_policies = partialmethod(_list_policies, REQUEST)
    create_response_headers_policy = partialmethod(_create_policy, HEADERS)
    get_response_headers_policy = partialmethod(_get_policy, HEADERS)
    update_response_headers_policy = partialmethod(_update_policy, HEADERS)
    delete_response_headers_policy = partialmethod(_delete_policy, HEADERS)
    list_response_headers_policies = partialmethod(_list_policies, HEADERS)


def install() -> None:
    """Support both kinds of policies, keep all settings of a distribution, and delete as CloudFront
    does.
    """
    CloudFrontBackend.__init__ = _init
    CloudFrontBackend.delete_origin_access_control = _delete_origin_access_control
    Distribution.advance = _advance
    answer_by(EdgeAnswers, url_paths, PATHS)


def _init(backend: CloudFrontBackend, region_name: str, account_id: str) -> None:
    _INIT(backend, region_name, account_id)
    backend.postamt = {kind: {} for kind in (REQUEST, HEADERS)}


def _shown(found: dict[str, Any], kind: str) -> ActionResult:
    return ActionResult({kind: found["it"], "ETag": found["tag"]})


def _delete_origin_access_control(backend: CloudFrontBackend, control_id: str) -> None:
    if any(control_id in str(d.postamt) for d in backend.distributions.values()):
        raise _refusal("OriginAccessControlInUse", 409)
    _DELETE_ACCESS(backend, control_id)


def _begin(distribution: Distribution) -> None:
    distribution.status = "InProgress"
    distribution.looks = 0


def _advance(distribution: Distribution) -> None:
    distribution.looks = getattr(distribution, "looks", 0) + 1
    if distribution.looks > LOOKS:
        distribution.status = "Deployed"


def _aliases(config: dict[str, Any]) -> list[str]:
    return config.get("Aliases", {}).get("Items") or []


def _refusal(code: str, status: int) -> CloudFrontException:
    error = CloudFrontException("Refused.")
    error.code = code
    error.status = status
    return error
