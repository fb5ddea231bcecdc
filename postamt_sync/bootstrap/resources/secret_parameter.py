"""An SSM parameter with keys of ours: encrypted, and free of charge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, PlanItem, call
from postamt_sync.bootstrap.tags import NOT_OURS, is_ours, listed, mapped, stranger
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from postamt_sync.errors import MisconfiguredError
from postamt_sync.webmail.key_ring import KeyRing

KIND = "SecureString"


@dataclass(frozen=True, slots=True)
class SecretParameterResource:
    """The parameter. `name` is a path; `what` says in a few words what its keys are for.

    Keys are generated just before they are written, and never appear in a plan.
    """

    stack: WebmailStack
    aws: AwsClient
    name: str
    what: str

    @property
    def title(self) -> str:
        return f"parameter {self.name}"

    def plan(self) -> Iterator[PlanItem]:
        found = self._find()
        if found is None:
            yield Change(f"create, and generate {self.what}", [self._create()])
            return
        conflict = stranger(self._tags(), self.stack)
        if conflict is not None:
            yield conflict
        elif found.get("Type") != KIND:
            yield Change("it is not encrypted: create it again", [self._delete(), self._create()])
        elif self.ring() is None:
            yield Change("its value cannot be read: create a new one", [self._put(KeyRing.new)])

    def destroy(self) -> Iterator[PlanItem]:
        if self._find() is None:
            return
        if is_ours(self._tags(), self.stack):
            yield Change("delete", [self._delete()])
        else:
            yield NOT_OURS

    def rotate(self) -> Iterator[PlanItem]:
        """Yield the change that adds a new key in front; the previous one stays valid until the
        next rotation."""
        yield Change("a new key in front of the one in force", [self._put(self._rotated)])

    def ring(self) -> KeyRing | None:
        """Return the keys; None if there are none or the value is malformed."""
        found = self._find(opened=True)
        try:
            return None if found is None else KeyRing.from_text(str(found.get("Value", "")))
        except ValueError:
            return None

    def _rotated(self) -> KeyRing:
        ring = self.ring()
        if ring is None:
            raise MisconfiguredError(
                f"The parameter {self.name} has no keys.",
                "Make them first: postamt-sync bootstrap apply",
            )
        return ring.rotated()

    def _find(self, *, opened: bool = False) -> dict[str, Any] | None:
        answer = self.aws.read("ssm", "get_parameters", Names=[self.name], WithDecryption=opened)
        return next(iter((answer or {}).get("Parameters", [])), None)

    def _tags(self) -> dict[str, str]:
        answer = self.aws.read(
            "ssm",
            "list_tags_for_resource",
            missing=("InvalidResourceId",),
            ResourceType="Parameter",
            ResourceId=self.name,
        )
        return mapped((answer or {}).get("TagList", []))

    def _create(self) -> Call:
        parameters = {
            "Name": self.name,
            "Description": f"postamt-sync: {self.what} of the webmail",
            "Type": KIND,
            "Tier": "Standard",
            "Tags": listed(self.stack.tags),
        }
        return Call("ssm", "put_parameter", parameters, late=lambda: _value(KeyRing.new()))

    def _put(self, ring: Any) -> Call:
        parameters = {"Name": self.name, "Type": KIND, "Overwrite": True}
        return Call("ssm", "put_parameter", parameters, late=lambda: _value(ring()))

    def _delete(self) -> Call:
        return call("ssm", "delete_parameter", Name=self.name)


def _value(ring: KeyRing) -> Mapping[str, str]:
    return {"Value": ring.to_text()}
