"""The HTTP API in front of the webmail's function: its routes, their rate limits, and its right to
call the function.

The stage throttles all requests; a usage plan would only apply to those with an API key. There are
two routes for signing in, each with its own limit, so that a flood of strangers at one does not
lock out a device that has signed in before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, PlanItem
from postamt_sync.bootstrap.overlay import holds
from postamt_sync.bootstrap.policy_document import Statement, statements
from postamt_sync.bootstrap.resources.invoke_permission import lets
from postamt_sync.bootstrap.tags import is_ours
from postamt_sync.bootstrap.webmail_stack import (
    KNOWN_SIGN_IN_ROUTE,
    SIGN_IN_ROUTE,
    WebmailStack,
)
from postamt_sync.errors import TryLaterError

STAGE = "$default"
ROUTES = (SIGN_IN_ROUTE, KNOWN_SIGN_IN_ROUTE, "$default")
SID, SERVICE = "PostamtWebmailInvoke", "apigateway.amazonaws.com"

SIGN_IN_RATE: dict[str, Any] = {"ThrottlingRateLimit": 5.0, "ThrottlingBurstLimit": 10}
RATE: dict[str, Any] = {"ThrottlingRateLimit": 50.0, "ThrottlingBurstLimit": 100}
"""Requests a second, and how many at once."""
STAGED: dict[str, Any] = {
    "AutoDeploy": True,
    "DefaultRouteSettings": RATE,
    "RouteSettings": {SIGN_IN_ROUTE: SIGN_IN_RATE, KNOWN_SIGN_IN_ROUTE: SIGN_IN_RATE},
}
LONGEST_MS = 30_000
"""The longest that an HTTP API waits for an answer."""

SOON = ("NotFoundException", "ConflictException", "TooManyRequestsException")
"""Errors of what API Gateway is still creating."""
NO_FUNCTION = ("ResourceNotFoundException",)
BUSY = ("ResourceConflictException", "TooManyRequestsException", *NO_FUNCTION)


@dataclass(frozen=True, slots=True)
class HttpApiResource:
    """The API, recognized by name and tag: AWS assigns its id, and allows several with one name."""

    stack: WebmailStack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"HTTP API {self.stack.api}"

    def plan(self) -> Iterator[PlanItem]:
        api, *more = self.ids() or [""]
        if not api:
            yield Change("create", [self._create()])
        for one in more:
            yield Change(f"{one}, a duplicate: delete", [self._delete(one)])
        integration = self._integration(api) if api else None
        if integration is None:
            yield Change("calls the function: create", [self._integrate()])
        elif not holds(integration, self._wanted):
            told = {"IntegrationId": integration["IntegrationId"], **self._wanted}
            yield Change(
                "calls the function: was changed, restore it",
                [self._call("update_integration", **told)],
            )
        yield from self._routes(api, integration)
        yield from self._stage(api)
        if not api or not any(map(self._is_ours, self._permissions())):
            yield Change("may call the function: permit", self._permit())

    def destroy(self) -> Iterator[PlanItem]:
        for api in self.ids():
            yield Change("delete", [self._delete(api)])

    def ids(self) -> list[str]:
        """Return the ids of our APIs, sorted: none, one, or two if an answer of AWS was lost."""
        every = self.aws.pages("apigatewayv2", "get_apis", "Items")
        return sorted(
            str(api["ApiId"])
            for api in every
            if api.get("Name") == self.stack.api and is_ours(api.get("Tags", {}), self.stack)
        )

    def id(self) -> str:
        """Return the id. Raises TryLaterError while there is none."""
        if found := self.ids():
            return found[0]
        raise TryLaterError(
            f"The HTTP API {self.stack.api} cannot be seen yet.",
            "Run it again in a minute; it goes on where it was.",
        )

    def host(self) -> str:
        """Return the host at which CloudFront reaches it. Raises TryLaterError as `id` does."""
        return f"{self.id()}.execute-api.{self.stack.region}.amazonaws.com"

    def _create(self) -> Call:
        parameters = {
            "Name": self.stack.api,
            "Description": "postamt-sync: the webmail, reached through CloudFront",
            "ProtocolType": "HTTP",
            "Tags": self.stack.tags,
        }
        return Call("apigatewayv2", "create_api", parameters, once=True)

    @property
    def _wanted(self) -> dict[str, Any]:
        return {
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": self.stack.function_arn,
            "PayloadFormatVersion": "2.0",
            "TimeoutInMillis": LONGEST_MS,
        }

    def _integration(self, api: str) -> dict[str, Any] | None:
        found = self.aws.pages("apigatewayv2", "get_integrations", "Items", ApiId=api)
        return min(found, key=lambda one: str(one["IntegrationId"]), default=None)

    def _integrate(self) -> Call:
        return self._call("create_integration", **self._wanted)

    def _routes(self, api: str, integration: dict[str, Any] | None) -> Iterator[PlanItem]:
        found = self.aws.pages("apigatewayv2", "get_routes", "Items", ApiId=api) if api else []
        there = {route["RouteKey"]: route for route in found}
        target = f"integrations/{integration['IntegrationId']}" if integration else ""
        for key in ROUTES:
            if key not in there:
                yield Change(f"route {key}: create", [self._target("create_route", RouteKey=key)])
            elif not target or there[key].get("Target") != target:
                named = {"RouteId": there[key]["RouteId"]}
                yield Change(
                    f"route {key}: was changed, restore it", [self._target("update_route", **named)]
                )
        for key in sorted(there.keys() - set(ROUTES)):
            gone = self._call("delete_route", RouteId=there[key]["RouteId"])
            yield Change("a route that is not ours: delete", [gone])

    def _stage(self, api: str) -> Iterator[PlanItem]:
        stage = None
        if api:
            stage = self.aws.read(
                "apigatewayv2",
                "get_stage",
                missing=("NotFoundException",),
                ApiId=api,
                StageName=STAGE,
            )
        rates = "5 sign-ins a second, 5 from known devices, 50 other requests"
        staged = {"StageName": STAGE, **STAGED}
        if stage is None:
            yield Change(f"stage: create, {rates}", [self._call("create_stage", **staged)])
        elif not holds(stage, STAGED):
            yield Change(
                f"stage: was changed, restore it: {rates}", [self._call("update_stage", **staged)]
            )

    def _permissions(self) -> list[Statement]:
        answer = self.aws.read(
            "lambda", "get_policy", missing=NO_FUNCTION, FunctionName=self.stack.function
        )
        return statements(json.loads(answer["Policy"])) if answer else []

    def _is_ours(self, statement: Statement) -> bool:
        """Whether the statement lets this API call the function, and no other."""
        return statement.get("Sid") == SID and lets(statement, SERVICE, self._source())

    def _source(self) -> str:
        stack = self.stack
        place = f"{stack.region}:{stack.account}:{self.id()}"
        return f"arn:{stack.partition}:execute-api:{place}/*/*"

    def permit_anew(self) -> list[Call]:
        """Return the calls that let the API call a function that is created again, which loses its
        permissions.

        None if there is no API or no function yet: then `plan` grants it.
        """
        return [self._permission()] if self._permissions() and self.ids() else []

    def _permit(self) -> list[Call]:
        stale = [one for one in self._permissions() if one.get("Sid") == SID]
        remove = Call("lambda", "remove_permission", self._statement, retry_on=BUSY)
        return [remove, self._permission()] if stale else [self._permission()]

    def _permission(self) -> Call:
        return Call(
            "lambda",
            "add_permission",
            {
                **self._statement,
                "Action": "lambda:InvokeFunction",
                "Principal": SERVICE,
            },
            retry_on=BUSY,
            late=lambda: {"SourceArn": self._source()},
        )

    @property
    def _statement(self) -> dict[str, str]:
        return {"FunctionName": self.stack.function, "StatementId": SID}

    def _target(self, operation: str, **parameters: Any) -> Call:
        def late() -> Mapping[str, Any]:
            api = self.id()
            integration = self._integration(api)
            if integration is None:
                raise TryLaterError(
                    f"The HTTP API {api} does not show its integration yet.",
                    "Run it again in a minute; it goes on where it was.",
                )
            return {"ApiId": api, "Target": f"integrations/{integration['IntegrationId']}"}

        return Call("apigatewayv2", operation, parameters, retry_on=SOON, late=late)

    def _call(self, operation: str, **parameters: Any) -> Call:
        return Call(
            "apigatewayv2",
            operation,
            parameters,
            retry_on=SOON,
            late=lambda: {"ApiId": self.id()},
        )

    def _delete(self, api: str) -> Call:
        return Call("apigatewayv2", "delete_api", {"ApiId": api}, retry_on=("ConflictException",))
