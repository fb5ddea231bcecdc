"""CloudFront: policies of its own, the whole of a distribution's settings, and its order of things.

The emulator lacks the policies for requests and for headers, forgets what it does not know of a
distribution, and deletes one that is still in service.
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

KINDS = {
    "origin_request_policy": "OriginRequestPolicy",
    "response_headers_policy": "ResponseHeadersPolicy",
}
LOOKS = 2
"""How often a distribution that was changed is still seen at work."""

_CREATE = CloudFrontResponse.create_distribution_with_tags
_INIT = CloudFrontBackend.__init__
_DELETE_ACCESS = CloudFrontBackend.delete_origin_access_control


def install() -> None:
    """Know both kinds of policies, keep what a distribution is given, delete as CloudFront does."""
    CloudFrontBackend.__init__ = _init
    CloudFrontBackend.delete_origin_access_control = _delete_origin_access_control
    CloudFrontResponse.create_distribution_with_tags = _create_distribution
    CloudFrontResponse.get_distribution_config = _get_distribution_config
    CloudFrontResponse.update_distribution = _update_distribution
    CloudFrontResponse.delete_distribution = _delete_distribution
    Distribution.advance = _advance
    for noun, kind in KINDS.items():
        path = f"{{0}}/2020-05-31/{noun.replace('_', '-')}"
        url_paths[f"{path}$"] = CloudFrontResponse.dispatch
        url_paths[f"{path}/(?P<policy_id>[^/]+)$"] = CloudFrontResponse.dispatch
        for verb, answer in (
            (f"create_{noun}", _create_policy),
            (f"get_{noun}", _get_policy),
            (f"update_{noun}", _update_policy),
            (f"delete_{noun}", _delete_policy),
            (f"list_{noun.removesuffix('y')}ies", _list_policies),
        ):
            setattr(CloudFrontResponse, verb, partialmethod(answer, kind))


def _init(backend: CloudFrontBackend, region_name: str, account_id: str) -> None:
    _INIT(backend, region_name, account_id)
    backend.postamt = {kind: {} for kind in KINDS.values()}


def _policies(response: CloudFrontResponse, kind: str) -> dict[str, dict[str, Any]]:
    held: dict[str, dict[str, Any]] = response.backend.postamt[kind]
    return held


def _policy(response: CloudFrontResponse, kind: str) -> dict[str, Any]:
    found = _policies(response, kind).get(response._get_param("Id"))  # noqa: SLF001
    if found is None:
        raise _refusal(f"NoSuch{kind}", 404)
    return found


def _shown(found: dict[str, Any], kind: str) -> ActionResult:
    return ActionResult({kind: found["it"], "ETag": found["tag"]})


def _create_policy(response: CloudFrontResponse, kind: str) -> ActionResult:
    member = f"{kind}Config"
    config = response._get_param(member)  # noqa: SLF001
    held = _policies(response, kind)
    if any(policy["it"][member]["Name"] == config["Name"] for policy in held.values()):
        raise _refusal(f"{kind}AlreadyExists", 409)
    it = {"Id": random_id(), "LastModifiedTime": "2026-11-27T10:34:26Z", member: config}
    held[it["Id"]] = {"it": it, "tag": random_id()}
    return _shown(held[it["Id"]], kind)


def _get_policy(response: CloudFrontResponse, kind: str) -> ActionResult:
    return _shown(_policy(response, kind), kind)


def _update_policy(response: CloudFrontResponse, kind: str) -> ActionResult:
    found = _policy(response, kind)
    _match(response, found["tag"])
    found["it"][f"{kind}Config"] = response._get_param(f"{kind}Config")  # noqa: SLF001
    found["tag"] = random_id()
    return _shown(found, kind)


def _delete_policy(response: CloudFrontResponse, kind: str) -> EmptyResult:
    found = _policy(response, kind)
    _match(response, found["tag"])
    used = found["it"]["Id"]
    if any(used in str(d.postamt) for d in response.backend.distributions.values()):
        raise _refusal(f"{kind}InUse", 409)
    del _policies(response, kind)[used]
    return EmptyResult()


def _list_policies(response: CloudFrontResponse, kind: str) -> ActionResult:
    items = [{"Type": "custom", kind: found["it"]} for found in _policies(response, kind).values()]
    return ActionResult({f"{kind}List": {"MaxItems": 100, "Quantity": len(items), "Items": items}})


def _create_distribution(response: CloudFrontResponse) -> ActionResult:
    config = response._get_param("DistributionConfigWithTags.DistributionConfig", {})  # noqa: SLF001
    kept = copy.deepcopy(config)
    taken = set(_aliases(kept))
    for other in response.backend.distributions.values():
        if taken & set(_aliases(other.postamt)):
            raise _refusal("CNAMEAlreadyExists", 409)
    answer = _CREATE(response)
    distribution = answer.result["Distribution"]
    distribution.postamt = kept
    _begin(distribution)
    return answer


def _get_distribution_config(response: CloudFrontResponse) -> ActionResult:
    found, tag = response.backend.get_distribution(response._get_param("Id"))  # noqa: SLF001
    return ActionResult({"DistributionConfig": copy.deepcopy(found.postamt), "ETag": tag})


def _update_distribution(response: CloudFrontResponse) -> ActionResult:
    backend = response.backend
    found, tag = backend.get_distribution(response._get_param("Id"))  # noqa: SLF001
    _match(response, tag)
    config = response._get_param("DistributionConfig", {})  # noqa: SLF001
    if config["CallerReference"] != found.postamt["CallerReference"]:
        raise _refusal("IllegalUpdate", 400)
    kept = copy.deepcopy(config)
    backend.update_distribution(config, found.distribution_id, tag)
    found.postamt = kept
    found.etag = random_id()
    _begin(found)
    return ActionResult({"Distribution": found, "ETag": found.etag})


def _delete_distribution(response: CloudFrontResponse) -> EmptyResult:
    backend = response.backend
    found, tag = backend.get_distribution(response._get_param("Id"))  # noqa: SLF001
    _match(response, tag)
    if found.postamt["Enabled"] or found.status != "Deployed":
        raise _refusal("DistributionNotDisabled", 409)
    backend.delete_distribution(found.distribution_id, tag)
    return EmptyResult()


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


def _match(response: CloudFrontResponse, tag: str) -> None:
    if response._get_param("IfMatch") != tag:  # noqa: SLF001
        raise _refusal("PreconditionFailed", 412)


def _refusal(code: str, status: int) -> CloudFrontException:
    error = CloudFrontException("Refused.")
    error.code = code
    error.status = status
    return error
