"""The kinds of value that options take; each refuses with a sentence that starts with "must".

Rules that look at more than one option stand in `rules.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator

from postamt_sync.config.addresses import normalised_address, normalised_domain
from postamt_sync.config.folder import normalised_folder
from postamt_sync.config.listen import is_loopback, one_or_many, parse_listen, unix_path

RESERVED_FOR_BUCKETS = ("xn--", "sthree-", "amzn-s3-demo-")
"""How no bucket's name may start (S3 User Guide, "General purpose bucket naming rules")."""
LONGEST_PREFIX = 900
"""Octets: a key has 1,024, and SES adds its id of 40."""

_TOPIC_ARN = (
    r"arn:aws[a-z-]*:sns:[a-z]{2,5}(-[a-z]+){1,3}-[0-9]{1,2}:[0-9]{12}:[A-Za-z0-9_-]{1,256}"
)

_NO_TOPIC_ARN = "must be the ARN of a standard SNS topic, with region and account."


def _matching(pattern: str, sentence: str) -> Callable[[str], str]:
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(sentence)
        return text

    return check


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be a path that starts with /; ~ and $VARIABLES are not expanded.")
    if not str(path).isprintable():
        raise ValueError("must be a path without control characters.")
    return path


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


_stack_name = _matching(
    # What is made of it must do everywhere: tables have 3 characters, receipt rules end in a letter
    # or digit, buckets have 63 at most.
    r"[a-z][a-z0-9-]{1,28}[a-z0-9]",
    "must be made of 3 to 30 lower-case letters, digits and hyphens, start with a letter, and end "
    "with a letter or digit.",
)


def stack_name(text: str) -> str:
    """Return a stack's name; raises ValueError with a sentence that starts with "must"."""
    name = _stack_name(text)
    if name.startswith(RESERVED_FOR_BUCKETS):
        raise ValueError(
            f"must not start with {', '.join(RESERVED_FOR_BUCKETS)}, as no bucket may."
        )
    return name


def _bucket_name(name: str) -> str:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return name
    raise ValueError("must not look like an IP address.")


def _prefix(text: str) -> str:
    if text.startswith("/"):
        raise ValueError("must not start with /; keys have no root.")
    if text and not text.endswith("/"):
        raise ValueError("must end in /, or be empty for the whole bucket.")
    if not text.isprintable() or len(text.encode()) > LONGEST_PREFIX:
        raise ValueError(f"must be printable and at most {LONGEST_PREFIX} octets long.")
    return text


def _key_file(text: str) -> str:
    if text.lstrip().startswith("-----BEGIN"):
        raise ValueError("must be the path of a file, not the key itself.")
    if not text or "\0" in text:
        raise ValueError("must be the path of a file.")
    return text


def split_url(text: str, *, query: bool = False) -> SplitResult:
    """Split an http or https URL; raises ValueError with a sentence that starts with "must"."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be a URL that starts with https:// or http:// and names a host.")
    if parts.fragment or (parts.query and not query):
        raise ValueError(f"must be a URL without {'#' if query else '? and #'}.")
    return parts


def _url(text: str) -> str:
    split_url(text)
    return text


def _url_or_empty(text: str) -> str:
    return _url(text) if text else text


def _host_or_empty(text: str) -> str:
    return normalised_domain(text) if text else text


def _secret_url_or_empty(text: str) -> str:
    if text:
        parts = split_url(text, query=True)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("must start with https://, for whoever reads the path may use it.")
    return text


def _url_path(text: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", text):
        raise ValueError("must start with / and consist of letters, digits and . _ ~ - / only.")
    if "//" in text or {".", ".."} & set(text.split("/")):
        raise ValueError("must be a plain path, without // and without . or .. as a part.")
    return text


def _loopback_or_empty(text: str) -> str:
    if text and unix_path(text) is None and not parse_listen(text).is_loopback:
        raise ValueError("must be a loopback address: the page shows who gets mail.")
    return text


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError("must be an address or a network, such as 10.0.0.0/8.") from None
        raise ValueError(f"must be a network without bits of a host: {network}.") from None
    if network.prefixlen == 0:
        raise ValueError("must not be the whole internet: anyone could pretend to be anyone.")
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        raise ValueError("must be written as IPv4, without ::ffff: before it.")
    if getattr(network.network_address, "scope_id", None):
        raise ValueError("must be without an interface (%).")
    return str(network)


def _lmtp_server(text: str) -> str:
    if text.startswith("/"):
        return str(_absolute(Path(text)))
    if not parse_listen(text).is_loopback:
        raise ValueError(
            "must be the path of a socket, or a loopback address: mail would travel unencrypted."
        )
    return text


OneOrMany = BeforeValidator(one_or_many)
"""Of a list whose only item may stand without brackets."""
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
OptionalPath = Annotated[AbsolutePath | None, BeforeValidator(_empty_is_none)]
KeyFile = Annotated[str, AfterValidator(_key_file)]
Address = Annotated[str, AfterValidator(normalised_address)]
Domain = Annotated[str, AfterValidator(normalised_domain)]
HostOrEmpty = Annotated[str, AfterValidator(_host_or_empty)]
Prefix = Annotated[str, AfterValidator(_prefix)]
Url = Annotated[str, AfterValidator(_url)]
UrlOrEmpty = Annotated[str, AfterValidator(_url_or_empty)]
SecretUrlOrEmpty = Annotated[str, AfterValidator(_secret_url_or_empty)]
"""The path is a password: it is shown to nobody."""
UrlPath = Annotated[str, AfterValidator(_url_path)]
LoopbackOrEmpty = Annotated[str, AfterValidator(_loopback_or_empty)]
Network = Annotated[str, AfterValidator(_network)]
LmtpServer = Annotated[str, AfterValidator(_lmtp_server)]
Folder = Annotated[str, AfterValidator(normalised_folder)]
Region = Annotated[
    str,
    AfterValidator(
        _matching(r"[a-z]{2,5}(-[a-z]+){1,3}-[0-9]{1,2}", "must be the name of an AWS region.")
    ),
]
BucketName = Annotated[
    str,
    AfterValidator(
        _matching(
            r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
            "must be a bucket's name: 3 to 63 lower-case letters, digits, hyphens and dots.",
        )
    ),
    AfterValidator(_bucket_name),
]
TopicArn = Annotated[str, AfterValidator(_matching(_TOPIC_ARN, _NO_TOPIC_ARN))]
TopicArnOrEmpty = Annotated[str, AfterValidator(_matching(f"|{_TOPIC_ARN}", _NO_TOPIC_ARN))]
TableName = Annotated[
    str,
    AfterValidator(
        _matching(
            r"|[A-Za-z0-9_.-]{3,255}",
            "must be a DynamoDB table's name: 3 to 255 letters, digits and _ . -",
        )
    ),
]
MailboxName = Annotated[
    str,
    AfterValidator(
        _matching(
            r"[a-z0-9][a-z0-9._-]{0,63}",
            "must be made of lower-case letters, digits and . _ -, start with a letter or digit, "
            "and have at most 64 of them.",
        )
    ),
]
Label = Annotated[
    str,
    AfterValidator(
        _matching(
            r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
            "must be one part of a domain name: lower-case letters, digits and hyphens.",
        )
    ),
]
StackName = Annotated[str, AfterValidator(stack_name)]
SystemUser = Annotated[
    str,
    AfterValidator(
        _matching(
            r"[a-z_][a-z0-9_-]{0,31}",
            "must be the name of a system user: lower-case letters, digits and _ -",
        )
    ),
]
SmtpUserOrEmpty = Annotated[
    str,
    AfterValidator(
        _matching(
            r"|AKIA[A-Z0-9]{12,124}",
            "must be the user name that SES's SMTP takes: an access key id, AKIA and so on.",
        )
    ),
]
