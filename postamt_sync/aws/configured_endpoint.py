"""Checks that endpoints configured in place of AWS's own are valid URLs.

botocore accepts some that nothing can be sent to, and then fails at each call as if there were no
network; of others it says what is wrong, but not where they are configured.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from postamt_sync.aws.as_it_runs import as_it_runs
from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import printable

_VARIABLE = re.compile(r"AWS_ENDPOINT_URL(?:_[A-Z0-9_]+)?")


def refuse_bad_endpoints(session: Any, environ: Mapping[str, str] = os.environ) -> None:
    """Raise MisconfiguredError for the first invalid endpoint in the environment or profile.

    `session` is botocore's. If its settings cannot be read, what botocore raises passes through.
    """
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return
    for where, url in _configured(session, environ):
        if not is_endpoint(url):
            raise bad_endpoint(url, where)


def bad_endpoint(url: str, where: str = "AWS_ENDPOINT_URL") -> MisconfiguredError:
    """Return the error for an invalid endpoint that is configured at `where`."""
    return MisconfiguredError(
        f"The AWS endpoint {printable(url, 200)!r} is not a valid URL.",
        f"Correct or remove {where}; it should look like this: http://127.0.0.1:4566",
    )


def is_endpoint(url: str) -> bool:
    """Whether requests can be sent there: http or https, a host, and a usable port if any."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        if ":" in host:
            ip_address(host)
    except ValueError:
        return False
    whole = url.isascii() and url.isprintable() and " " not in url
    return whole and parts.scheme in {"http", "https"} and bool(host) and port != 0


def _configured(session: Any, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted(environ):
        if _VARIABLE.fullmatch(name) and environ[name]:
            yield name, environ[name]
    profile = session.get_scoped_config()
    if isinstance(url := profile.get("endpoint_url"), str):
        yield as_it_runs("endpoint_url in {config}", environ), url
    services = session.full_config.get("services", {}).get(profile.get("services"), {})
    for name, options in services.items() if isinstance(services, Mapping) else ():
        url = options.get("endpoint_url") if isinstance(options, Mapping) else None
        if isinstance(url, str):
            service = printable(name, 40)
            yield as_it_runs("endpoint_url of {of} in {config}", environ, of=service), url
