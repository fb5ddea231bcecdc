"""SQS in memory, as boto3's client shows it: visibility, receipt handles, batches, troubles.

Written from the SQS API Reference; `tests/intake/test_sqs.py` holds it against the emulator.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

GONE = "AWS.SimpleQueueService.NonExistentQueue"
MOST_AT_ONCE = 10


def refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


@dataclass
class Held:
    """A message in a queue; visible from `visible_at` on, by the client's clock."""

    body: str
    sent_at: float
    visible_at: float
    attributes: dict[str, str] = field(default_factory=dict)
    received: int = 0
    handle: str = ""


class MemorySqs:
    """Queues by URL, made by the first use. `incidents` are raised first, one a call, by operation.

    `lose_deletes` lets a delete fail for its messages, as a batch's answer can say.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.queues: dict[str, list[Held]] = {}
        self.incidents: dict[str, list[Exception]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.lose_deletes = 0
        self.order: Callable[[list[Held]], Sequence[Held]] = list
        """In which order visible messages are handed out; a standard queue promises none."""
        self._lock = threading.Lock()
        self._numbers = itertools.count()

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.calls)

    def bodies(self, url: str) -> list[str]:
        return [held.body for held in self.queues.get(url, [])]

    def send_message(self, **request: Any) -> dict[str, str]:
        url, attributes = request["QueueUrl"], request.get("MessageAttributes") or {}
        said = {name: value["StringValue"] for name, value in attributes.items()}
        with self._begin("send_message", request):
            now = self.clock()
            self.queues.setdefault(url, []).append(Held(request["MessageBody"], now, now, said))
        return {"MessageId": str(next(self._numbers))}

    def receive_message(self, **request: Any) -> dict[str, Any]:
        with self._begin("receive_message", request):
            now = self.clock()
            held = self.queues.setdefault(request["QueueUrl"], [])
            visible = self.order([each for each in held if each.visible_at <= now])
            taken = visible[: request.get("MaxNumberOfMessages", 1)]
            for each in taken:
                each.received += 1
                each.handle = f"handle {next(self._numbers)}"
                each.visible_at = now + request["VisibilityTimeout"]
            return {"Messages": [_shown(each, request) for each in taken]} if taken else {}

    def delete_message_batch(self, **request: Any) -> dict[str, Any]:
        with self._begin("delete_message_batch", request):
            _check_batch(request["Entries"])
            lost = self.lose_deletes > 0
            self.lose_deletes -= lost
            if lost:
                return {"Failed": [{"Id": entry["Id"]} for entry in request["Entries"]]}
            handles = {entry["ReceiptHandle"] for entry in request["Entries"]}
            held = self.queues[request["QueueUrl"]]
            held[:] = [each for each in held if each.handle not in handles]
            return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        with self._begin("change_message_visibility_batch", request):
            _check_batch(request["Entries"])
            seconds = {e["ReceiptHandle"]: e["VisibilityTimeout"] for e in request["Entries"]}
            for each in self.queues[request["QueueUrl"]]:
                if each.handle in seconds:
                    assert 0 <= seconds[each.handle] <= 43_200
                    each.visible_at = self.clock() + seconds[each.handle]
            return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    def _begin(self, operation: str, request: dict[str, Any]) -> threading.Lock:
        self.calls.append((operation, request))
        if waiting := self.incidents.get(operation):
            raise waiting.pop(0)
        return self._lock


def _shown(held: Held, request: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"Body": held.body, "ReceiptHandle": held.handle}
    system = {
        "SentTimestamp": str(int(held.sent_at * 1000)),
        "ApproximateReceiveCount": str(held.received),
    }
    wanted = request.get("MessageSystemAttributeNames", [])
    shown["Attributes"] = {name: system[name] for name in wanted}
    said = {n: held.attributes[n] for n in request["MessageAttributeNames"] if n in held.attributes}
    if said:
        shown["MessageAttributes"] = {
            name: {"StringValue": value, "DataType": "String"} for name, value in said.items()
        }
    return shown


def _check_batch(entries: Sequence[dict[str, Any]]) -> None:
    assert 0 < len(entries) <= MOST_AT_ONCE
    assert len({entry["Id"] for entry in entries}) == len(entries)
