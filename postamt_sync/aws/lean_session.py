"""As much of boto3.Session as the daemon needs: clients and credentials, with botocore only.

boto3 adds resources and transfers, 5 MB of memory that we do not need. The chain that finds region,
endpoint and credentials is botocore's in either case.
"""

from __future__ import annotations

from typing import Any

import botocore.session


class LeanSession:
    """A substitute for boto3.Session where only clients and credentials are needed."""

    def __init__(self, core: botocore.session.Session, region: str = "") -> None:
        """An empty `region` means the one in the AWS configuration."""
        self._session = core
        if region:
            core.set_config_variable("region", region)

    def client(self, service_name: str, **options: Any) -> Any:
        """Return a client, like boto3."""
        return self._session.create_client(service_name, **options)

    def get_credentials(self) -> Any:
        """Return the credentials that the chain finds; None if there are none."""
        return self._session.get_credentials()
