"""The resources of sealing, in order of creation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.aws.seal_zip import kept_wheel, seal_zip
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import PlanItem
from postamt_sync.bootstrap.plan import Resource
from postamt_sync.bootstrap.resources.log_group import LogGroupResource
from postamt_sync.bootstrap.resources.role import RoleResource
from postamt_sync.bootstrap.resources.schedule import ScheduleResource
from postamt_sync.bootstrap.resources.seal_function import Code, SealFunctionResource
from postamt_sync.bootstrap.resources.table import seal_table
from postamt_sync.bootstrap.seal_policies import seal_policy
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.config.command import USUAL_LINE, CommandLine
from postamt_sync.seal.owner_keys import OwnerKey


def code_with(wheel: Path | None = None) -> Code:
    """Return a function that builds the zip; `wheel` is the wheel that a person chose, if any."""

    def code(keys: Sequence[OwnerKey]) -> bytes:
        certificates = {key.fingerprint: key.certificate for key in keys}
        return seal_zip(certificates, kept_wheel(wheel))

    return code


def seal_resources(
    stack: SealStack, aws: AwsClient, code: Code, line: CommandLine = USUAL_LINE
) -> list[Resource]:
    """Return all resources of sealing, each after those that it needs."""
    return [
        seal_table(stack, aws),
        RoleResource(stack, aws, "postamt-sync: the function that seals mail", seal_policy(stack)),
        LogGroupResource(stack, aws),
        SealFunctionResource(stack, aws, code, line),
        ScheduleResource(stack, aws),
    ]


@dataclass(frozen=True, slots=True)
class SealingOffResource:
    """Sealing after it was switched off: everything that would go on sealing is removed. The table
    stays, and so does everything sealed or tagged in the bucket."""

    stack: SealStack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"sealing by {self.stack.function}"

    def plan(self) -> Iterator[PlanItem]:
        for resource in self._parts():
            if not isinstance(resource, LogGroupResource):
                yield from resource.destroy()

    def destroy(self) -> Iterator[PlanItem]:
        for resource in self._parts():
            yield from resource.destroy()
        yield from seal_table(self.stack, self.aws).destroy()

    def _parts(self) -> list[Resource]:
        """Return the parts, the function last; none if there is no function. Without one nothing
        else is read, because an administrator who never sealed may lack the rights to."""
        function = SealFunctionResource(self.stack, self.aws, lambda _: b"")
        if not function.is_there():
            return []
        every = seal_resources(self.stack, self.aws, lambda _: b"")
        others = [part for part in reversed(every[1:]) if part.title != function.title]
        return [*others, function]
