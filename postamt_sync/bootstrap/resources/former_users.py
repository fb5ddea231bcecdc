"""SMTP users that the configuration no longer asks for.

The user of a mailbox that is gone is deleted at once. If the mailboxes have got users of their own,
or share one again, everything that sends with an old user must be moved to the new one first. So
the old user is marked with a tag, and stays until it has been unused for a key rotation's grace
period.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Change, Note, PlanItem, call
from postamt_sync.bootstrap.key_rotation import GRACE
from postamt_sync.bootstrap.resources.access_key import Key, last_used, now_at_aws
from postamt_sync.bootstrap.resources.user import FORMER, MISSING, removal
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.tags import is_ours, listed, mapped
from postamt_sync.config.command import USUAL_LINE, CommandLine


@dataclass(frozen=True, slots=True)
class FormerUsersResource:
    """Our SMTP users, recognized by name and tag, other than those `wanted`."""

    stack: Stack
    aws: AwsClient
    wanted: tuple[str, ...]
    line: CommandLine = USUAL_LINE
    now: Callable[[AwsClient], dt.datetime] = now_at_aws

    @property
    def title(self) -> str:
        return "former SMTP users"

    def plan(self) -> Iterator[PlanItem]:
        for name, tags in self._found().items():
            used = self._used(name)
            when = f"used last on {used:%Y-%m-%d}" if used else "never used, as IAM says"
            told = f"{name}, {when}"
            if not self._has_heirs(name):
                yield Change(f"{told}: delete, with its keys", removal(self.aws, name))
                continue
            since = _moment(tags.get(FORMER, ""))
            now = self.now(self.aws)
            if since is None:
                mark = listed({FORMER: now.isoformat(timespec="seconds")})
                yield Change(
                    f"{told}: mark as no longer wanted; it can send for at least "
                    f"{GRACE.days} more days",
                    [call("iam", "tag_user", UserName=name, Tags=mark)],
                )
            elif now - max(since, used or since) >= GRACE:
                yield Change(f"{told}: delete, with its keys", removal(self.aws, name))
            else:
                retire = self.line.typed("bootstrap credentials retire")
                yield Note(
                    f"{told}: no longer wanted since {since:%Y-%m-%d}, but kept, so that "
                    f"nothing stops sending. Move what uses it: apply deletes it {GRACE.days} days "
                    f"after its last use. To delete it at once: {retire}"
                )

    def destroy(self) -> Iterator[PlanItem]:
        for name in self._found():
            yield Change(f"{name}: delete, with its keys", removal(self.aws, name))

    def _found(self) -> dict[str, Mapping[str, str]]:
        """Return the former users that exist: their tags by name."""
        shared = self.stack.smtp_user
        names = [user["UserName"] for user in self.aws.pages("iam", "list_users", "Users")]
        found: dict[str, Mapping[str, str]] = {}
        for name in names:
            if name in self.wanted or not (name == shared or name.startswith(f"{shared}-")):
                continue
            # A list of users does not contain their tags.
            answer = self.aws.read("iam", "get_user", missing=MISSING, UserName=name)
            tags = mapped(answer["User"].get("Tags", [])) if answer else {}
            if is_ours(tags, self.stack):
                found[name] = tags
        return found

    def _has_heirs(self, name: str) -> bool:
        """Whether other users have replaced this one, rather than its mailbox being gone."""
        shared = name == self.stack.smtp_user
        return bool(self.wanted) and shared == bool(self.stack.smtp_senders)

    def _used(self, name: str) -> dt.datetime | None:
        keys: list[Key] = self.aws.pages(
            "iam", "list_access_keys", "AccessKeyMetadata", missing=MISSING, UserName=name
        )
        used = [last_used(self.aws, key) for key in keys]
        return max((one for one in used if one is not None), default=None)


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
