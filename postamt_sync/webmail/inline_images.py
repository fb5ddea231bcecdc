"""Images that a mail's HTML names by content id (RFC 2392), in forms that the frame may load."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable
from urllib.parse import unquote

from postamt_sync.webmail.day_place import DayPlace
from postamt_sync.webmail.mime import MimePart

LARGEST_INLINE = 3 << 20
"""Bytes of all images that are put into the HTML; others are loaded from the day's place."""
MOST_KEPT = 100
"""The most images of a mail that are put into the day's place."""

_TYPES = {f"image/{name}": f"image/{name}" for name in ("png", "jpeg", "gif", "webp", "bmp")}
_TYPES |= {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_BEGINNINGS = (
    (re.compile(rb"\x89PNG\r\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)
_NAMED = re.compile(r"""\bsrc\s*=\s*["']?\s*cid:([^"'\s<>]{1,1000})""", re.IGNORECASE)


def image_type(part: MimePart) -> str:
    """Return the image type as which a part can be shown, "" if it is not such an image.

    Many senders declare every attachment as octet-stream; then its first bytes count.
    """
    if known := _TYPES.get(part.type):
        return known
    if part.type != "application/octet-stream":
        return ""
    beginning = part.beginning
    return next((kind for form, kind in _BEGINNINGS if form.match(beginning)), "")


def named_in(markup: str) -> set[str]:
    """Return the content ids of images in HTML, in every form in which they may be meant."""
    first, *others = markup.split("<!--")
    shown = "".join((first, *(each.partition("-->")[2] for each in others)))
    found = {content_id(html.unescape(each)) for each in _NAMED.findall(shown)}
    return (found | {unquote(each) for each in found}) - {""}


def content_id(text: str) -> str:
    """Return a content id without the blanks and angle brackets that some senders add."""
    return text.strip().removeprefix("<").removesuffix(">").strip()


class InlineImages:
    """Finds URLs that the frame may load for the images that `cid:` names."""

    def __init__(self, parts: Iterable[MimePart], day: DayPlace | None) -> None:
        """Without `day`, all images are put into the HTML.

        The attribute `host` becomes the origin from which the frame loads images, if there are any.
        """
        self._parts = {each.content_id: each for each in parts if each.content_id}
        self._day = day
        self._left = LARGEST_INLINE
        self._in_html: dict[str, tuple[str, int]] = {}
        self._elsewhere: dict[str, str] = {}
        self.host = ""

    def address(self, name: str) -> str:
        """Return the URL of an image, "" if it is not one. Every use counts for the limits."""
        name = content_id(name)
        if name not in self._parts:
            name = unquote(name)
        part = self._parts.get(name)
        kind = image_type(part) if part else ""
        if part is None or not kind:
            return ""
        if name in self._elsewhere:
            return self._elsewhere[name]
        image, size = self._in_html.get(name, ("", 0))
        if not image:
            content = part.content
            size = len(content)
        if size <= self._left or (self._day is None and not image):
            self._left -= size
            if not image:
                image = f"data:{kind};base64,{base64.b64encode(content).decode()}"
                self._in_html[name] = image, size
            return image
        elsewhere = ""
        if self._day is not None and len(self._elsewhere) < MOST_KEPT:
            elsewhere = self._day.keep(part.content, "image", kind)
            self.host = self._day.origin
        self._elsewhere[name] = elsewhere
        return elsewhere
