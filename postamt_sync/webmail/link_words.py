"""What a reader takes for the text of a link: its own text, and what is right beside it.

Two adjacent links can together spell an address that neither of them has. So can a link and the
text before it, or a link with something invisible in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

BESIDE = 253
"""Characters before and after a link that may belong to its word: as many as a host may have."""

_INLINE = frozenset(
    {
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em"),
        *("font", "i", "img", "ins", "kbd", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small"),
        *("span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    }
)
_PLACED = re.compile(r"\b(?:display|float)\s*:", re.IGNORECASE)
"""Styles by which an element that begins a new line may not do so."""
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0*(?:\.0*)?\s*(?:;|$)"
    r"|font-size\s*:\s*[0.]+\s*(?:[a-z%]|;|$)|font\s*:[^;]*\s[0.]+(?:[a-z%/\s]|$)"
    r"|(?<![\w-])(?:max-)?(?:height|width)\s*:\s*[0.]+\s*(?:[a-z%]|;|$)|transparent",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s")


class LinkWords:
    """The text of a document as it is shown, and the place of each link in it."""

    def __init__(self, root: Any, *, seen_only: bool) -> None:
        """`seen_only`: without what is hidden by a style, and without empty elements."""
        self._seen_only = seen_only
        self.links: list[Any] = []
        self._places: dict[int, tuple[int, int]] = {}
        self._pieces: list[str] = []
        self._length = 0
        self._walk(root)
        self._text = "".join(self._pieces)

    def of(self, link: Any) -> Iterator[str]:
        """Yield the text of one of `links`, alone and with what is right beside it."""
        start, end = self._places.get(id(link), (0, 0))
        yield self._text[start:end]
        before = _SPACE.split(self._text[max(0, start - BESIDE) : start])[-1]
        behind = _SPACE.split(self._text[end : end + BESIDE], maxsplit=1)[0]
        if before or behind:
            yield before + self._text[start:end] + behind

    def _walk(self, root: Any) -> None:
        todo: list[Any] = [root]
        while todo:
            node = todo.pop()
            if isinstance(node, str):
                self._say(node)
                continue
            if isinstance(node, tuple):  # a link with all that is in it
                link, start = node
                self._places[id(link)] = (start, self._length)
                continue
            children = node.children or ()
            if node.name == "#text":
                self._say(node.data or "")
                continue
            style = (node.attrs or {}).get("style") or ""
            if self._seen_only and _is_unseen(node.name, style, children):
                continue
            if node.name not in _INLINE and not _PLACED.search(style):
                self._say("\n")
                todo.append("\n")
            elif node.name == "a" and "href" in node.attrs:
                self.links.append(node)
                todo.append((node, self._length))
            todo += reversed(children)

    def _say(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)


def _is_unseen(name: str, style: str, children: Sequence[Any]) -> bool:
    if _UNSEEN.search(style):
        return True
    empty = all(each.name == "#text" and not (each.data or "").strip() for each in children)
    return empty and name in _INLINE - {"img", "a"}
