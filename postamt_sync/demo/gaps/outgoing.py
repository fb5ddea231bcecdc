"""The mails that SES was given to send, which the emulator shows only within its process."""

from __future__ import annotations

import json
from typing import Any

from moto.moto_api._internal.urls import url_paths
from moto.ses.models import RawMessage, ses_backends

PATH = "/moto-api/ses/outgoing.json"


def install() -> None:
    """List them, of all accounts and regions, in the order in which they were accepted."""
    url_paths[f"{{0}}{PATH}"] = _outgoing


def _outgoing(*_: Any) -> tuple[int, dict[str, str], str]:
    taken = [
        {"recipients": message.destinations, "raw": message.raw_data}
        for regions in ses_backends.values()
        for backend in regions.values()
        for message in backend.sent_messages
        if isinstance(message, RawMessage)
    ]
    return 200, {"Content-Type": "application/json"}, json.dumps(taken)
