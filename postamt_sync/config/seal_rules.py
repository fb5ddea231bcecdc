"""Rules for sealing: where the sealed mail may lie, and what there must be to seal."""

from __future__ import annotations

from collections.abc import Iterator

from postamt_sync.config.findings import ConfigFinding
from postamt_sync.config.settings import Settings
from postamt_sync.mail.sent_mail import OUTBOX_PREFIX, SENT_PREFIX

_SEALED = ("bucket", "sealed_prefix")
_EXAMPLE = 'sealed_prefix = "sealed/"'


def keys_apart(settings: Settings) -> Iterator[ConfigFinding]:
    for number, key in enumerate(settings.seal.keys):
        if key in settings.seal.keys[:number]:
            yield ConfigFinding(("seal", "keys", number), "stands twice.")


def prefix_to_seal(settings: Settings) -> Iterator[ConfigFinding]:
    """A rule that lets plain mail expire must know where that ends."""
    if settings.seal.enabled and not settings.bucket.prefix:
        yield ConfigFinding(
            ("bucket", "prefix"),
            "must be a place of its own, not the whole bucket, for its mail to be sealed.",
            'prefix = "incoming/"',
        )


def sealed_beside(settings: Settings) -> Iterator[ConfigFinding]:
    """Sealed mail inside another place would be taken for mail, or expire with it."""
    sealed = settings.bucket.sealed_prefix
    if not settings.seal.enabled:
        return
    if not sealed:
        yield ConfigFinding(_SEALED, "must say where sealed mail is to lie.", _EXAMPLE)
        return
    places = (settings.bucket.prefix, settings.bucket.recent_prefix, SENT_PREFIX, OUTBOX_PREFIX)
    for taken in filter(None, places):
        if sealed.startswith(taken) or taken.startswith(sealed):
            yield ConfigFinding(
                _SEALED,
                f'must lie beside "{taken}", not inside it or around it: that is for other mail.',
                _EXAMPLE,
            )
            return
