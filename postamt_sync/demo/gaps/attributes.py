"""Settings that the emulator accepts but never shows, and functions that it cannot run."""

from __future__ import annotations

from typing import Any

from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.core.responses import ActionResult
from moto.sns.responses import SNSResponse
from moto.sns.urls import url_paths

from postamt_sync.demo.gaps.service_answers import answer_by

_INIT = LambdaFunction.__init__
_GET_CONFIGURATION = LambdaFunction.get_configuration
_UPDATE_CONFIGURATION = LambdaFunction.update_configuration


class TopicAnswers(SNSResponse):  # type: ignore[misc]
    """Shows a topic's signature version."""

    def get_topic_attributes(self) -> ActionResult:
        answer = super().get_topic_attributes()
        topic = self.backend.get_topic(self._get_param("TopicArn"))
        version = getattr(topic, "signature_version", None)
        if version is not None:
            answer.result["Attributes"]["SignatureVersion"] = version
        return answer


def install() -> None:
    """Show a topic's signature version, and where a function's dead letters go."""
    answer_by(TopicAnswers, url_paths)
    LambdaBackend.send_sns_message = _call_nobody
    LambdaFunction.__init__ = _init
    LambdaFunction.get_configuration = _get_configuration
    LambdaFunction.update_configuration = _update_configuration


def _call_nobody(*_: Any, **__: Any) -> None:
    """Without a container there is nothing to run a function in; other subscribers are told."""


def _init(function: LambdaFunction, *, spec: dict[str, Any], **rest: Any) -> None:
    function.dead_letters = spec.get("DeadLetterConfig")
    _INIT(function, spec=spec, **rest)


def _get_configuration(function: LambdaFunction, on_create: bool = False) -> dict[str, Any]:
    configuration: dict[str, Any] = _GET_CONFIGURATION(function, on_create)
    if function.dead_letters:
        configuration["DeadLetterConfig"] = function.dead_letters
    return configuration


def _update_configuration(
    function: LambdaFunction, config_updates: dict[str, Any]
) -> dict[str, Any]:
    if "DeadLetterConfig" in config_updates:
        function.dead_letters = config_updates["DeadLetterConfig"]
    _UPDATE_CONFIGURATION(function, config_updates)
    return _get_configuration(function)
