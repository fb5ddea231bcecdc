"""As much of boto3.Session as a daemon needs: clients and credentials, by botocore alone.

boto3 adds resources and transfers: 5 MB that nobody here asks for.
The chain that finds region, endpoint and credentials is botocore's in either case.
"""

from __future__ import annotations

from typing import Any

import botocore.session


class LeanSession:
    """Stands for a boto3.Session wherever one is only asked for a client or for credentials."""

    def __init__(self, core: botocore.session.Session, region: str = "") -> None:
        """An empty `region` means that of the configuration."""
        self._session = core
        if region:
            core.set_config_variable("region", region)

    def client(self, service_name: str, **options: Any) -> Any:
        """Return a client, as boto3 does."""
        return self._session.create_client(service_name, **options)

    def get_credentials(self) -> Any:
        """Return the credentials that the chain finds, None if there are none."""
        return self._session.get_credentials()
