"""Where a mail's link leads according to a browser, and whether it looks like another place."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

LOOKED_AT = 2_000
"""How many characters of a link's text are looked at."""
_DOTS = str.maketrans({"\u3002": ".", "\uff61": ".", "\u2024": ".", "\u00b7": "."})
_BETWEEN_NAMES = re.compile(r"[^\w.-]+")
_LAST_LABEL = re.compile(r"[^\W\d_]{2,63}")
MOST_NAMES = 20
"""Host names in the text of a link; one with more pretends something."""
LONGEST_HOST = 253
"""Characters (RFC 1035, section 2.3.4)."""
_ROOM = re.compile(r"\s+\.(?=[a-z]{2,})|(?<=\w)\.\s+(?=(?:com|net|org|info|biz|edu|gov|io|co)\b)")
"""Blanks around a dot where a sentence has none: a style can remove their width."""
_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")


class LinkTarget:
    """A link. `host` is its server in ASCII, which reveals a name that only looks like another.

    It is "" if the link does not lead to a server.
    """

    def __init__(self, target: str) -> None:
        scheme, _, rest = re.sub(r"[\t\r\n]", "", target).partition(":")
        authority = ""
        if scheme.lower() in {"http", "https"}:
            # Browsers accept any number of slashes, and both kinds.
            authority = re.split(r"[/?#]", rest.replace("\\", "/").lstrip("/"), maxsplit=1)[0]
        name = authority.rpartition("@")[2]
        name = name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]
        self.host = ascii_host(unquote(name))
        labels = self.host.rstrip(".").split(".")
        self._is_odd = (
            "@" in authority
            or labels[-1].isdigit()
            or any(each.startswith("xn--") for each in labels)
        )

    def pretends_in(self, text: str) -> bool:
        """Tell whether a link with this text could be taken for one that leads elsewhere."""
        shown = text[:LOOKED_AT]
        if _OVERRIDES.search(shown):
            return True
        whole = _ROOM.sub(".", _seen(unicodedata.normalize("NFKC", shown)).translate(_DOTS))
        words = (each.strip(".") for each in _BETWEEN_NAMES.split(whole))
        named = [each for each in words if _is_host_like(each)]
        if len(named) > MOST_NAMES:
            return True
        others = {_site(ascii_host(each)) for each in named}
        own = _site(self.host)
        return bool(others - {own}) or (self._is_odd and own not in others)


def ascii_host(name: str) -> str:
    """Return a host as in the DNS; if it cannot be one, in ASCII with `?` for the rest."""
    flat = unicodedata.normalize("NFKC", name).translate(_DOTS).lower().strip(". ")
    try:
        return flat.encode("idna").decode()
    except UnicodeError:
        return "".join(c if c.isascii() and c.isprintable() else "?" for c in flat)


def _is_host_like(word: str) -> bool:
    before, dot, last = word.rpartition(".")
    return bool(before and dot and len(word) <= LONGEST_HOST and _LAST_LABEL.fullmatch(last))


def _seen(text: str) -> str:
    if text.isascii():  # as most is, and in a hundredth of the time
        return text.translate(_UNSEEN_ASCII)
    return "".join(c for c in text if not _is_unseen(c))


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in {"Cf", "Cc", "Mn"} and character not in "\n\t"


_UNSEEN_ASCII = dict.fromkeys(filter(lambda code: _is_unseen(chr(code)), range(128)))


def _site(host: str) -> str:
    return ".".join(host.removeprefix("www.").split(".")[-3:])
