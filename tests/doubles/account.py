"""An emulated AWS account of one's own, and the stack in it: planned, applied, killed, counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.key_file import replace_file
from postamt_sync.bootstrap.plan import Plan, carry_out, plan, plan_removal
from postamt_sync.bootstrap.rule_position import Position
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_part import usual_bucket
from postamt_sync.bootstrap.stack_resources import resources
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from tests.doubles.moto import REGION, Moto, MotoProcess
from tests.support.aws_session import aws_session, core_session, hold_to_models

ACCOUNT = "123456789012"
READS = ("Get", "List", "Describe", "Head", "Receive")


class KilledError(BaseException):
    """The process ends here, as by SIGKILL: nothing may catch it."""


class Account:
    """Counts writes, kills after one of them. Clients are made once: that is slow, and they know
    nothing of the account. Every call must be one that AWS's own models take."""

    def __init__(self, emulator: Moto) -> None:
        self.emulator = emulator
        self.keys = Path()
        self.writes: list[str] = []
        self.pauses: list[float] = []
        self.kill_after: int | None = None
        self.before: Callable[[str, dict[str, Any]], None] = lambda *_: None
        """Is told each operation and its parameters right before it is asked."""
        self._opened: dict[tuple[str, str], AwsClient] = {}
        self._applied: dict[Stack, tuple[MotoProcess, dict[str, str]]] = {}

    def begin(self, keys: Path) -> Account:
        """Empty the account for a new test, which keeps its keys in this directory."""
        self.keys = keys
        self.writes.clear()
        self.pauses.clear()
        self.kill_after = None
        self.before = lambda *_: None
        self.emulator.reset()
        return self

    def have(self, stack: Stack) -> None:
        """Begin with a stack that was applied: as `apply` leaves it, and in a fraction of its time.

        What else is in the account is gone.
        """
        assert not self.writes, "only an account that nothing was done to can begin"
        if stack in self._applied:
            kept, files = self._applied[stack]
            self.emulator.bring_back(kept)
            for name, content in files.items():
                replace_file(self.keys / name, content)
        else:
            self.apply(stack, region=stack.region)
            files = {path.name: path.read_text() for path in self.keys.iterdir()}
            self._applied[stack] = self.emulator.keep(), files
        self.writes.clear()

    def client(self, service: str) -> Any:
        return self.emulator.client(service)

    def aws(self, region: str = REGION, key: tuple[str, str] = ("testing", "testing")) -> AwsClient:
        """Open the account."""
        if (region, key[0]) not in self._opened:
            core = core_session()
            hold_to_models(core)
            core.register("provide-client-params.*.*", self._before)
            core.register("after-call.*.*", self._after)
            session = aws_session(*key, region=region, core=core)
            self._opened[region, key[0]] = AwsClient(
                session, region, endpoint=lambda _: self.emulator.url, sleep=self.pauses.append
            )
        return self._opened[region, key[0]]

    def plan(self, stack: Stack, position: Position | None = None, region: str = REGION) -> Plan:
        return plan(resources(stack, self.aws(region), self.keys, position=position))

    def apply(self, stack: Stack, position: Position | None = None, region: str = REGION) -> int:
        """Return how many writes it took."""
        before = len(self.writes)
        carry_out(self.plan(stack, position, region), self.aws(region), lambda *_: None)
        return len(self.writes) - before

    def destroy(self, stack: Stack, delete_mail: str = "") -> Plan:
        found = plan_removal(resources(stack, self.aws(), self.keys, delete_mail=delete_mail))
        carry_out(found, self.aws(), lambda *_: None)
        return found

    @contextmanager
    def answering(
        self, service: str, operation: str, change: Callable[[dict[str, Any]], object]
    ) -> Iterator[None]:
        """Answer this operation as AWS does and the emulator does not; `change` makes it so."""

        def changed(parsed: dict[str, Any], **_: Any) -> None:
            if parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
                change(parsed)

        events = self.aws().client(service).meta.events
        events.register(f"after-call.{service}.{operation}", changed)
        try:
            yield
        finally:
            events.unregister(f"after-call.{service}.{operation}", changed)

    @contextmanager
    def refusing(
        self,
        service: str,
        operation: str,
        code: str,
        *,
        status: int = 400,
        times: int | None = None,
        once: bool = False,
    ) -> Iterator[None]:
        """Refuse this operation, `times` times or always, as AWS does and the emulator does not.

        `once` is for what is asked by the client that repeats nothing.
        """
        left = [None] * times if times is not None else None

        def refuse(**_: Any) -> Any:
            if left is not None:
                if not left:
                    return None
                left.pop()
            answer = AWSResponse("", status, {}, None)
            about = {"HTTPStatusCode": status}
            return answer, {
                "Error": {"Code": code, "Message": "Refused."},
                "ResponseMetadata": about,
            }

        events = self.aws().client(service, once=once).meta.events
        events.register(f"before-call.{service}.{operation}", refuse)
        try:
            yield
        finally:
            events.unregister(f"before-call.{service}.{operation}", refuse)

    def _before(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.before(model.name, params)

    def _after(self, model: Any, http_response: Any, **_: Any) -> None:
        if model.name.startswith(READS) or http_response.status_code >= 300:
            return
        self.writes.append(model.name)
        if self.kill_after is not None and len(self.writes) == self.kill_after:
            self.kill_after = None
            raise KilledError


def stack(name: str = "postamt", domains: Sequence[str] = ("example.com",), **more: Any) -> Stack:
    """Name a stack with all that is usual."""
    region = more.pop("region", REGION)
    bucket = more.pop("bucket", usual_bucket(name, ACCOUNT, region))
    more.setdefault("public_url", "https://home.example.com/sns")
    return Stack(name, ACCOUNT, region, bucket, tuple(domains), **more)


def with_webmail(mail: Stack, host: str = "webmail.example.com") -> Stack:
    """Return a stack with a webmail beside it, as the configuration names it."""
    named = (mail.name, mail.account, mail.region, host, mail.bucket)
    webmail = WebmailStack(*named, mail.domains, mail.prefix, mail.recent_prefix)
    return replace(mail, webmail=webmail)


def changes(found: Plan) -> list[str]:
    """Return what a plan wants, a line each."""
    return [f"{title}: {change.message}" for title, change in found.changes]


def conflicts(found: Plan) -> list[str]:
    return [f"{title}: {conflict.message}" for title, conflict in found.conflicts]
