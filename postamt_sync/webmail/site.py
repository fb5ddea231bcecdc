"""The page's files, and the headers that the fronts send with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources


def policy(*elsewhere: str) -> str:
    """Return the Content-Security-Policy for these files; a mail's frame has one of its own.

    `elsewhere` are the origins to which large attachments are uploaded.
    """
    sent_to = " ".join(("'self'", *elsewhere))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src {sent_to}; frame-src 'self'; manifest-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


HEADERS = {
    "Content-Security-Policy": policy(),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

TYPES = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "api.js": "text/javascript; charset=utf-8",
    "compose.js": "text/javascript; charset=utf-8",
    "conversations.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "drafts.js": "text/javascript; charset=utf-8",
    "reading.js": "text/javascript; charset=utf-8",
    "staying.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "manifest.webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class SiteFile:
    """One file of the page."""

    content: bytes
    type: str


@cache
def site() -> dict[str, SiteFile]:
    """Return the files by the paths under which browsers request them."""
    place = resources.files("postamt_sync.webmail") / "site"
    files = {
        f"/{name}": SiteFile((place / name).read_bytes(), kind) for name, kind in TYPES.items()
    }
    return {**files, "/": files["/index.html"]}
