"""API Gateway's stages, which the emulator cannot change, and a package that it imports for a
feature that we do not use."""

from __future__ import annotations

import importlib.util
import json
import sys
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from postamt_sync.demo.gaps.service_answers import answer_by

STAGE_MEMBERS = {
    "defaultRouteSettings": "default_route_settings",
    "routeSettings": "route_settings",
    "autoDeploy": "auto_deploy",
}
"""The settings of a stage that can be changed, by the attributes of moto's model."""

_VALIDATOR = "openapi_spec_validator"


def install() -> None:
    """Let stages be changed, and APIs be created without a validator of OpenAPI documents."""
    _do_without_validator()
    from moto.apigatewayv2.responses import ApiGatewayV2Response  # noqa: PLC0415  needs the above
    from moto.apigatewayv2.urls import url_paths  # noqa: PLC0415

    class StageAnswers(ApiGatewayV2Response):  # type: ignore[misc]
        def update_stage(self) -> tuple[int, dict[str, str], str]:
            api, _, name = self.path.split("/")[-3:]
            stage = self.apigatewayv2_backend.get_stage(api, unquote(name))
            asked = json.loads(self.body)
            for member, attribute in STAGE_MEMBERS.items():
                if member in asked:
                    setattr(stage, attribute, asked[member])
            return 200, {}, json.dumps(stage.to_json())

    answer_by(StageAnswers, url_paths)


def _do_without_validator() -> None:
    """Stand in for the package that checks the documents that an API may be imported from."""
    if importlib.util.find_spec(_VALIDATOR) is not None:
        return
    package, inner, errors = (
        ModuleType(name)
        for name in (_VALIDATOR, f"{_VALIDATOR}.validation", f"{_VALIDATOR}.validation.exceptions")
    )
    package.__path__ = inner.__path__ = []
    package.__spec__ = importlib.util.spec_from_loader(_VALIDATOR, None)
    package.validate = _refuse  # type: ignore[attr-defined]
    errors.OpenAPIValidationError = ValueError  # type: ignore[attr-defined]
    for module in (package, inner, errors):
        sys.modules[module.__name__] = module


def _refuse(*_: Any, **__: Any) -> None:
    raise NotImplementedError("this emulator imports no OpenAPI documents")
