"""Understands what a person types as an answer, as long as it has only one meaning.

Each function returns the answer in its canonical spelling, or raises ValueError that says, in whole
sentences, what is wrong and what would be right. Pure: nothing is looked up.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from postamt_sync.config.addresses import normalised_domain
from postamt_sync.config.values import MailboxName
from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import printable
from postamt_sync.host.dovecot.description import writable

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_BETWEEN_WORDS = re.compile(r"[\s,;]+")
_BETWEEN_PEOPLE = re.compile(r"\s*[,;&\n]\s*|\s+(?:and|und|et|y)\s+", re.IGNORECASE)
_ANGLE = re.compile(r"<([^<>]*)>")
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_YES = {"y", "yes", "yep", "ok", "sure", "j", "ja", "o", "oui", "s", "si", "true", "1"}
_NO = {"n", "no", "nope", "no port", "nein", "non", "false", "0", "none", "-"}
_LETTERS = str.maketrans(
    {
        **dict(zip("äöüæœþ", ("ae", "oe", "ue", "ae", "oe", "th"), strict=True)),
        **dict(zip("øåłđð\u0131", "oalddi", strict=True)),
        "ß": "ss",
        **dict.fromkeys("'`\"\u2019\u00b4", ""),
    }
)
"""Letters that Unicode does not decompose, and umlauts as they are spelt out in German."""
_NAME = TypeAdapter(MailboxName)
URL_PATH = "/sns"
_LONGEST_PATH = 1024
CHAIN, KEY = "fullchain.pem", "privkey.pem"


def read_domain(text: str) -> str:
    """Return a domain from a domain, a URL or a mail address, in any case or script."""
    plain = _plain(text)
    host = _host_of(plain).lstrip("@*.").rstrip(".。")
    if "@" not in plain and host.lower().startswith("www.") and host.count(".") > 1:
        host = host[4:]  # the name of a web server, not what comes after an @
    if not host:
        raise ValueError("Type the part after the @, as in: example.org")
    if _is_address(host):
        raise ValueError(f"{printable(host, 80)} is an IP address. Type a domain: example.org")
    try:
        return normalised_domain(host)
    except ValueError as error:
        raise ValueError(f"A domain {error} As in: example.org") from None


def read_domains(text: str) -> tuple[str, ...]:
    """Return one or several domains, separated by blanks or commas, without duplicates."""
    parts = [part for part in _BETWEEN_WORDS.split(_plain(text)) if part]
    return tuple(dict.fromkeys(map(read_domain, parts or [""])))


def read_people(text: str, domains: Sequence[str]) -> tuple[str, ...]:
    """Return the mailbox names of people, typed as names or addresses separated by commas, in the
    same order: the main one comes first."""
    parts = [part for part in _BETWEEN_PEOPLE.split(_plain(text)) if part]
    if not parts:
        raise ValueError("Type at least one name, as in: Ann Miller, Ben")
    names = [read_person(part, domains) for part in parts]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise ValueError(f"{twice} appears twice. Give each person a different name.")
    return tuple(names)


def read_person(text: str, domains: Sequence[str]) -> str:
    """Return the name of one person's mailbox: the part before the @ of the address."""
    plain = _plain(text)
    inside = _ANGLE.search(plain)
    plain = inside[1].strip() if inside else plain.removeprefix("mailto:")
    local, at, domain = plain.rpartition("@")
    if at and domain:
        found = read_domain(domain)
        if not domains:
            raise ValueError("Say first which domain gets mail, or type a name, as in: ann.miller")
        if found not in domains:
            raise ValueError(
                f"{found} is not the domain that gets mail. "
                f"Type a name, or an address at {' or '.join(domains)}"
            )
    wanted = local if at else plain
    name = _latin(wanted)
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        raise ValueError(
            f'"{printable(wanted, 60)}" cannot be the part before an @. Use Latin letters and '
            "digits, as in: ann.miller"
        ) from None


def read_public_url(text: str) -> str:
    """Return the URL at which the world reaches the box, "" if no port is open."""
    plain = _plain(text)
    word = _word(plain)
    if word in _NO or not plain:
        return ""
    if word in _YES:
        raise ValueError("Type its name, as in: home.example.org")
    if "://" not in plain:
        plain = f"https://{plain}"
    try:
        parts = urlsplit(plain)
        port = parts.port
    except ValueError:
        raise ValueError(_right_url(plain)) from None
    if parts.scheme.lower() != "https":
        raise ValueError("The notifications must come encrypted. As in: https://home.example.org")
    if parts.username is not None or parts.query or parts.fragment or port == 0:
        raise ValueError(_right_url(plain))
    host = _reachable((parts.hostname or "").rstrip("."))
    where = f":{port}" if port not in {None, 443} else ""
    path = parts.path or URL_PATH
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", path) or "//" in path:
        raise ValueError(_right_url(plain))
    return f"https://{host}{where}{path}"


def read_host(text: str, example: str = "mail.example.org") -> str:
    """Return the host name of a server, as it is given to mail clients."""
    host = _host_of(_plain(text)).rstrip(".。")
    if not host:
        raise ValueError(f"Type the server's name, as in: {example}")
    if _is_address(host):
        raise ValueError(f"A certificate is for a name, not an address. As in: {example}")
    try:
        return normalised_domain(host)
    except ValueError as error:
        raise ValueError(f"A server's name {error} As in: {example}") from None


def read_certificate(text: str) -> tuple[str, str]:
    """Return the paths of chain and key, both "" if one is to be found or made on the box.

    A directory stands for certbot's two files in it, and a chain also for the key beside it.
    """
    plain = _plain(text)
    if not plain or _word(plain) in _NO:
        return "", ""
    path = PurePosixPath(plain)
    if not path.is_absolute() or not plain.isprintable() or len(plain) > _LONGEST_PATH:
        raise ValueError(
            f"Type a whole path, as in: /etc/letsencrypt/live/mail.example.org/{CHAIN}"
        )
    try:
        writable(Path(plain), "certificate")
    except MisconfiguredError as error:
        raise ValueError(f"{error.problem} {error.hint}") from None
    if path.suffix.lower() == ".key":
        raise ValueError(
            "That is the key. Type the path of the chain: the key is taken from beside it."
        )
    if path.suffix.lower() not in {".pem", ".crt", ".cer"}:
        path /= CHAIN
    key = path.with_name(KEY) if path.name == CHAIN else path.with_suffix(".key")
    return str(path), str(key)


def read_yes(text: str) -> bool:
    """Whether the answer is yes."""
    word = _word(text)
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError("Type y for yes or n for no.")


def _plain(text: str) -> str:
    """Compose letters and drop invisible characters, because people paste from anywhere."""
    return unicodedata.normalize("NFC", text).translate(_UNSEEN).strip().strip("\"'").strip()


def _word(text: str) -> str:
    return _plain(text).lower().rstrip(".!")


def _host_of(text: str) -> str:
    """Reduce a URL or a mail address to its host."""
    inside = _ANGLE.search(text)
    text = re.sub(r"^mailto:", "", inside[1] if inside else text, flags=re.IGNORECASE)
    if scheme := _SCHEME.match(text):
        text = text[scheme.end() :].removeprefix("www.")
    text = re.split(r"[/?#]", text.lstrip("/"), maxsplit=1)[0]
    text = text.rpartition("@")[2]
    return re.sub(r":\d*$", "", text) if text.count(":") == 1 else text


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.rpartition(".")[2].isdigit()
    return True


def _reachable(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = read_host(host, "home.example.org")
        if name.endswith((".local", ".localhost", ".internal", ".lan", ".home.arpa")):
            raise ValueError(f"{name} is only known at home. As in: home.example.org") from None
        return name
    if not address.is_global:
        raise ValueError(f"The world cannot reach {address}. As in: home.example.org")
    raise ValueError("A certificate is for a name, not an address. As in: home.example.org")


def _right_url(text: str) -> str:
    shown = printable(text, 80)
    return f"{shown} is not the address of a web server. As in: https://home.example.org"


def _latin(text: str) -> str:
    """Turn a person's name into the part of an address before the @."""
    lower = unicodedata.normalize("NFC", text.lower()).translate(_LETTERS)
    bare = "".join(c for c in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(c))
    return re.sub(r"\.{2,}", ".", re.sub(r"\s+", ".", bare.strip())).strip(".")
