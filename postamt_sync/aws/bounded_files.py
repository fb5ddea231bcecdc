# ruff: noqa: SLF001  (botocore has no public way to do any of this)
"""Checks the files that botocore opens by itself, and refuses odd ones.

A pipe in place of a token would block everybody who needs credentials for ever, and a terabyte file
would be read into memory. Missing and unreadable files are left to botocore.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
from botocore.credentials import (
    AssumeRoleWithWebIdentityProvider,
    ContainerProvider,
    CredentialProvider,
)
from botocore.exceptions import ConfigParseError
from botocore.utils import FileWebIdentityTokenLoader, JSONFileCache

from postamt_sync.regular_file import read_small

_BOTOCORES = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM}


class OddFileError(ConfigParseError):
    """The AWS settings name a file that is not a small regular one."""

    fmt = "{path} is no file that can be read: {error}"


def look_at(path: str | None) -> None:
    """Raise OddFileError if there is anything but a small regular file at this path."""
    if not path or path == os.devnull:  # which is how people say that there is none
        return
    path = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111  (as botocore does)
    try:
        read_small(path, links=True)
    except OSError as error:
        if error.errno not in _BOTOCORES:
            raise OddFileError(path=path, error=error.strerror) from None


def look_at_settings(session: botocore.session.Session) -> None:
    """Check the profile and credentials files that a session is going to read."""
    for name in ("config_file", "credentials_file"):
        look_at(session.get_config_variable(name))


def look_at_certificates(session: botocore.session.Session) -> None:
    """Check the CA bundle that a client is going to trust."""
    if (bundle := session.get_config_variable("ca_bundle")) and not Path(bundle).is_dir():
        look_at(bundle)


def bound_files(provider: CredentialProvider) -> None:
    """Make a credential provider check its files before it opens them."""
    source: Any = provider
    if isinstance(provider, AssumeRoleWithWebIdentityProvider):
        source._token_loader_cls = _BoundedToken
    elif isinstance(provider, ContainerProvider):
        source._build_headers = _after_a_look(
            source._build_headers, source._environ.get, provider.ENV_VAR_AUTH_TOKEN_FILE
        )
    if isinstance(getattr(source, "_token_cache", None), JSONFileCache):
        source._token_cache = _BoundedCache(source._token_cache._working_dir)


class _BoundedToken(FileWebIdentityTokenLoader):
    def __call__(self) -> Any:
        look_at(self._web_identity_token_path)  # type: ignore[attr-defined]
        return super().__call__()


class _BoundedCache(JSONFileCache):
    """The cache of sign-in tokens, each in a file that another program wrote."""

    def __getitem__(self, cache_key: str) -> Any:
        look_at(self._convert_cache_key(cache_key))  # type: ignore[attr-defined]
        return super().__getitem__(cache_key)


def _after_a_look(
    build: Callable[[], Any], variable: Callable[[str], str | None], name: str
) -> Callable[[], Any]:
    def looked() -> Any:
        look_at(variable(name))
        return build()

    return looked
