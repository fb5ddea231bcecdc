"""Comparing words that a person types with what a sender wrote, without case and accents.

Both sides are folded in the same way, and only their folded forms are compared. Accents are
removed, the vowel signs of Indic scripts are kept. Letters that Unicode does not decompose are
spelled as people without such a keyboard spell them.
"""

from __future__ import annotations

import unicodedata

_SPELLED = str.maketrans(
    "øłđħŧŋð\N{LATIN SMALL LETTER DOTLESS I}\N{LEFT SINGLE QUOTATION MARK}"
    "\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
    "\N{DOUBLE LOW-9 QUOTATION MARK}\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{EM DASH}",
    'oldhtndi\'\'"""----',
) | {ord("æ"): "ae", ord("œ"): "oe", ord("þ"): "th"}


def folded(text: str) -> str:
    """Return what is compared: lower case, no accents, nothing invisible, words one blank apart."""
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        text = "".join(
            c for c in apart if not unicodedata.combining(c) and unicodedata.category(c) != "Cf"
        ).translate(_SPELLED)
    return " ".join(text.lower().split())


def holds(text: str, words: tuple[str, ...]) -> bool:
    """Tell whether a folded text contains all of these folded words, anywhere in it."""
    return all(word in text for word in words)
