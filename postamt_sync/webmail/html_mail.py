"""A mail's HTML, made harmless: a page of its own for a frame that may do nothing.

There are three walls, each of which stops nearly all that senders try. Tags, attributes and CSS
that are not on a list of harmless ones are removed here; the frame is sandboxed and has an origin
of its own; and its Content-Security-Policy lets it load nothing. External images are left out until
the reader asks for them; then images are allowed, over HTTPS, and nothing else.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from typing import Any

from justhtml import Edit, JustHTML, SanitizationPolicy, Sanitize, UrlPolicy, UrlRule

from postamt_sync.webmail.link_target import LinkTarget
from postamt_sync.webmail.link_words import LinkWords
from postamt_sync.webmail.mail_content import Shown

SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
"""What the frame may do: open links in a new window."""

DEEPEST = 500
"""How deep elements may be nested; no genuine mail comes near."""
MOST_TAGS = 30_000
"""In all HTML of a mail: the time depends on them. Large newsletters have a third of that."""
_CUT = "<p>[There is more than is shown here. It is in the source of this mail.]</p>"


def _names(text: str) -> list[str]:
    return text.split()


_TAGS = _names(
    "a abbr acronym address area article aside b bdi bdo big blockquote body br caption center cite"
    " code col colgroup dd del details dfn dir div dl dt em figcaption figure font footer h1 h2 h3"
    " h4 h5 h6 head header hr html i img ins kbd li main map mark nav ol p pre q rp rt ruby s samp"
    " section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt u"
    " ul var wbr"
)
_EVERYWHERE = ("align", "bgcolor", "color", "dir", "height", "lang", "style", "title", "valign")
_ATTRIBUTES = {
    "*": [*_EVERYWHERE, "width"],
    "a": ["href"],
    "img": ["src", "alt", "border", "hspace", "vspace"],
    "table": ["border", "cellpadding", "cellspacing", "summary", "rules", "frame"],
    "td": ["colspan", "rowspan", "nowrap"],
    "th": ["colspan", "rowspan", "nowrap", "scope"],
    "col": ["span"],
    "colgroup": ["span"],
    "font": ["face", "size"],
    "ol": ["start", "type", "reversed"],
    "ul": ["type"],
    "li": ["value", "type"],
    "hr": ["size", "noshade"],
    "br": ["clear"],
    "details": ["open"],
}
_SIDES = ("top", "right", "bottom", "left")
_CSS = frozenset(
    {
        *("background", "background-color", "color", "opacity", "visibility", "display", "float"),
        *("clear", "direction", "font", "font-family", "font-size", "font-style", "font-variant"),
        *("font-weight", "letter-spacing", "line-height", "text-align", "text-decoration"),
        *("text-indent", "text-transform", "vertical-align", "white-space", "word-break"),
        *("word-spacing", "word-wrap", "overflow-wrap", "width", "max-width", "min-width"),
        *("height", "max-height", "min-height", "margin", "padding", "border", "border-collapse"),
        *("border-color", "border-radius", "border-spacing", "border-style", "border-width"),
        *("box-sizing", "caption-side", "empty-cells", "list-style-type", "table-layout"),
        *(f"{kind}-{side}" for kind in ("margin", "padding", "border") for side in _SIDES),
        *(f"border-{side}-{what}" for side in _SIDES for what in ("color", "style", "width")),
    }
)
"""Properties for layout and color. None can place something over something else."""
_FUNCTIONS = frozenset(
    {
        *("rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "color"),
        *("color-mix", "light-dark", "calc", "min", "max", "clamp", "linear-gradient"),
        *("radial-gradient", "conic-gradient", "repeating-linear-gradient"),
        *("repeating-radial-gradient", "repeating-conic-gradient"),
    }
)
"""CSS functions that compute or draw. Any other could load an image, even one invented later."""
_DECLARATION = re.compile(r"""(?:"[^"]*"|'[^']*'|[^;"'])+""")
_BEFORE_A_NAME = re.compile(r"[\s(),:/*+]")
_QUOTED = ("font", "font-family", "list-style-type")
"""Properties that may have quoted text, which elsewhere can be a URL."""
_DROPPED = _names(
    "script style title template noscript noembed noframes iframe frameset frame object embed"
    " applet svg math xmp plaintext listing textarea select option button input audio video source"
    " track canvas portal link meta base param"
)

_SCHEMES = ("http", "https", "mailto", "tel", "cid", "data")
_RULE = UrlRule(allowed_schemes=_SCHEMES, handling="allow", allow_relative=False)
_POLICY = SanitizationPolicy(
    allowed_tags=_TAGS,
    allowed_attributes=_ATTRIBUTES,
    url_policy=UrlPolicy(
        default_handling="strip",
        default_allow_relative=False,
        allow_rules={("a", "href"): _RULE, ("img", "src"): _RULE},
    ),
    allowed_css_properties=_CSS,
    drop_content_tags=_DROPPED,
    strip_invisible_unicode=False,
)
_LEADS = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)
_IMAGE = re.compile(
    r"data:image/(?:png|jpe?g|gif|webp|bmp);base64,[A-Za-z0-9+/=\s%]*", re.IGNORECASE
)
_FRAME_STYLE = (
    ":root{color-scheme:light}html{background:#fff;color:#1a1a1a}"
    "body{margin:12px;font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}"
    "img{max-width:100%;height:auto}table{max-width:100%}pre{white-space:pre-wrap}"
    "blockquote{margin:0 0 0 .5em;padding-left:.8em;border-left:2px solid #ccc}"
    "a{color:#0b57d0}"
)

_LEADS_STYLE = (
    "all: initial !important; color: #8a3b00 !important; background: #fff !important;"
    " font: 13px system-ui, sans-serif !important"
)
"""Readable whatever the sender did to what is around it: hidden, tiny, backwards."""

InlineImage = Callable[[str], str]
"""Returns a URL that the frame may load for a content id, "" if there is none."""


def frame_policy(*, images: bool, image_host: str = "") -> str:
    """Return the frame's Content-Security-Policy. `image_host` serves large inline images."""
    allowed = ["data:", *(["https:"] if images else []), *([image_host] if image_host else [])]
    return (
        f"sandbox {SANDBOX}; default-src 'none'; img-src {' '.join(allowed)}; "
        "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )


def frame_page(pieces: Sequence[Shown], inline: InlineImage, *, images: bool) -> tuple[bytes, int]:
    """Return the frame's page, and how many external images were left out."""
    cleaner = _Cleaner(inline, images=images)
    body = "\n".join(
        cleaner.clean(piece.text) if piece.is_html else _preformatted(piece.text)
        for piece in pieces
    )
    page = (
        '<!doctype html><html lang=""><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        '<meta http-equiv="x-dns-prefetch-control" content="off">'
        f"<title>Mail</title><style>{_FRAME_STYLE}</style></head><body>{body}</body></html>"
    )
    return page.encode("utf-8", "replace"), cleaner.left_out


def plain_text(pieces: Sequence[Shown]) -> str:
    """Return the pieces as plain text, for quoting in a reply and for reading without HTML."""
    short = _Bounds()
    return "\n\n".join(
        _text_of(short.of(piece.text)) if piece.is_html else piece.text for piece in pieces
    ).strip("\n")


def _text_of(markup: str) -> str:
    document = JustHTML(markup, policy=_POLICY)
    text = document.root.to_text(separator="\n", separator_blocks_only=True)
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _preformatted(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


class _Cleaner:
    def __init__(self, inline: InlineImage, *, images: bool) -> None:
        self._inline = inline
        self._images = images
        self._bounds = _Bounds()
        self.left_out = 0

    def clean(self, markup: str) -> str:
        """Return the harmless part of HTML."""
        short = self._bounds.of(markup)
        document = JustHTML(
            short,
            fragment=True,
            policy=_POLICY,
            transforms=[
                Sanitize(_POLICY),
                Edit("[style]", _style),
                Edit("img", self._image),
                Edit("a", _link),
            ],
        )
        _tell_where_links_lead(document.root)
        return document.to_html(pretty=False) + (_CUT if len(short) < len(markup) else "")

    def _image(self, node: Any) -> None:
        source = (node.attrs.get("src") or "").strip()
        scheme = source.partition(":")[0].lower()
        alternative = node.attrs.get("alt") or ""
        address = ""
        if scheme == "cid":
            address = self._inline(source[4:])
        elif scheme == "data":
            address = source if _IMAGE.fullmatch(source) else ""
        elif scheme in {"http", "https"}:
            if self._images:
                address = "https:" + source.partition(":")[2]
            else:
                self.left_out += 1
        if address:
            node.attrs["src"] = address
            node.attrs["alt"] = alternative
        else:
            node.attrs.pop("src", None)


def _style(node: Any) -> None:
    """Keep of a style what cannot load anything."""
    kept = "; ".join(
        each.strip() for each in _DECLARATION.findall(node.attrs["style"] or "") if _draws(each)
    )
    if kept:
        node.attrs["style"] = kept
    else:
        node.attrs.pop("style")


def _draws(declaration: str) -> bool:
    name, _, value = declaration.lower().partition(":")
    if ('"' in value or "'" in value) and name.strip() not in _QUOTED:
        return False
    called = (_BEFORE_A_NAME.split(before.rstrip())[-1] for before in value.split("(")[:-1])
    return all(name in _FUNCTIONS for name in called if name.strip("-"))


def _link(node: Any) -> None:
    """Let a link open in a new window, without access to this one."""
    target = (node.attrs.get("href") or "").strip()
    if not _LEADS.match(target):
        node.attrs.pop("href", None)
        return
    node.attrs["target"] = "_blank"
    node.attrs["rel"] = "noopener noreferrer nofollow"
    node.attrs["title"] = target[:500]


def _tell_where_links_lead(root: Any) -> None:
    """Say behind a link where it leads, if in any way it looks as if it led elsewhere."""
    ways = [LinkWords(root, seen_only=seen_only) for seen_only in (False, True)]
    for link in ways[0].links:
        leads = LinkTarget(link.attrs["href"].strip())
        said = dict.fromkeys(words for way in ways for words in way.of(link))
        if not leads.host or not any(map(leads.pretends_in, said)):
            continue
        note = JustHTML(
            f'<span style="{_LEADS_STYLE}"> [leads to {html.escape(leads.host)}]</span>',
            fragment=True,
            sanitize=False,
        )
        for child in tuple(note.root.children or ()):
            link.append_child(child)


_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_VOID = frozenset(
    _names("area base br col embed hr img input link meta param source track wbr p li")
)


class _Bounds:
    """The limits of one mail's HTML: MOST_TAGS and DEEPEST. What exceeds them is hostile."""

    def __init__(self) -> None:
        self._left = MOST_TAGS

    def of(self, markup: str) -> str:
        """Return the next piece, cut before the tag that exceeds a limit."""
        short = markup
        tags = markup.count("<")
        if tags > self._left:
            at = -1
            for _ in range(self._left + 1):
                at = markup.find("<", at + 1)
            short, tags = markup[:at], self._left
        self._left -= tags
        depth = 0
        for found in _TAG.finditer(short):
            if found[2].lower() in _VOID:
                continue
            if found[1]:
                depth = max(0, depth - 1)
            elif depth >= DEEPEST:
                return short[: found.start()]
            else:
                depth += 1
        return short
