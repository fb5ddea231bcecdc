"""Names that stack, webmail and sealing have in common: a function with role and log, a table; and
what their buckets are called.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass

from postamt_sync.aws.regions import WITHOUT_OWN_NAMESPACE, partition_of
from postamt_sync.bootstrap.tags import TAG

RECENT_DAYS = 14
"""For how long the poll can see a mail; a box that is off longer relies on the daily listing."""


@dataclass(frozen=True, slots=True)
class StackPart(ABC):
    """A stack, or a part of it, in an account and region. `name` is always the stack's."""

    name: str
    account: str
    region: str

    @property
    @abstractmethod
    def function(self) -> str:
        """The function's name."""

    @property
    @abstractmethod
    def table(self) -> str:
        """The name of the part's own table."""

    @property
    def tags(self) -> dict[str, str]:
        """The tags that say which stack a resource belongs to."""
        return {TAG: self.name}

    @property
    def partition(self) -> str:
        """The AWS partition of the region, as in ARNs."""
        return partition_of(self.region)

    @property
    def table_arn(self) -> str:
        return self.arn_of_table(self.table)

    @property
    def lists(self) -> str:
        """The table with the mailboxes' lists of mail, and the routes by which these are filled."""
        return f"{self.name}-lists"

    @property
    def lists_arn(self) -> str:
        return self.arn_of_table(self.lists)

    @property
    def index_function(self) -> str:
        """The function that fills the stack's index."""
        return f"{self.name}-index"

    @property
    def function_arn(self) -> str:
        return self.arn_of_function(self.function)

    @property
    def role(self) -> str:
        """The role that the function runs with."""
        return self.function

    @property
    def role_arn(self) -> str:
        return self._iam_arn(f"role/{self.role}")

    @property
    def log_group(self) -> str:
        """The function's log group; Lambda dictates the name."""
        return f"/aws/lambda/{self.function}"

    @property
    def log_group_arn(self) -> str:
        return self._arn("logs", f"log-group:{self.log_group}")

    def arn_of_bucket(self, name: str) -> str:
        return f"arn:{self.partition}:s3:::{name}"

    def arn_of_table(self, name: str) -> str:
        return self._arn("dynamodb", f"table/{name}")

    def arn_of_function(self, name: str) -> str:
        return self._arn("lambda", f"function:{name}")

    def identity_arn(self, identity: str) -> str:
        """Return the ARN of a domain or address in SES; "*" for all of them."""
        return self._arn("ses", f"identity/{identity}")

    def configuration_set_arn(self, name: str) -> str:
        return self._arn("ses", f"configuration-set/{name}")

    def _iam_arn(self, resource: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def usual_bucket(name: str, account: str, region: str) -> str:
    """Return the name in the account's own regional namespace, where nobody else can take it.

    In regions without such namespaces all accounts share the names.
    """
    return f"{name}-{account}-{region}-an"


def new_bucket(name: str, account: str, region: str) -> str:
    """Return a name for a bucket that does not exist yet.

    In a region without account namespaces the name has a random part, different on each call, so
    the caller must keep it.
    """
    if region in WITHOUT_OWN_NAMESPACE:
        return f"{name}-{secrets.token_hex(8)}"
    return usual_bucket(name, account, region)
