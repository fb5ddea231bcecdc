"""The settings of a running daemon: whoever needs one reads it here each time.

A reload replaces them as a whole. What was fixed when the process started (addresses, names of
things at AWS, directories in use) stays as it was, so all that is read here belongs together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postamt_sync.config.settings import BucketSettings, Mailbox, Settings, WebhookSettings

FIXED = ("state_dir", "backup_dir", "aws", "bucket", "queue", "index", "admin", "seal")
"""Sections that a running daemon cannot change; a restart can."""
LIVE_IN_BUCKET = ("limit",)
LIVE_IN_WEBHOOK = ("tls_certificate", "tls_key", "trusted_proxies")
"""What it can change of the sections that it cannot change otherwise."""


class LiveSettings:
    """The settings in force; `current` may be another object at each reading. For all threads."""

    def __init__(self, settings: Settings) -> None:
        self._at_start = self._configured = self._current = settings
        self._kept: tuple[Mailbox, ...] = ()
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, tell: Callable[[], None]) -> None:
        """Call this after each change, where it is made: for those who sleep until then."""
        self._listeners.append(tell)

    @property
    def current(self) -> Settings:
        """Those in force."""
        return self._current

    @property
    def kept(self) -> tuple[Mailbox, ...]:
        """Mailboxes that the configuration no longer names and that still get their mail."""
        return self._kept

    @property
    def for_next_start(self) -> Settings:
        """As configured last, with what only another process changes as it was."""
        return self._with_fixed(self._configured)

    def replace(self, settings: Settings, *, may_remove: bool) -> None:
        """Put these in force.

        Without `may_remove` a mailbox that they do not name is kept: a half-saved file parses too.
        """
        names = {mailbox.name for mailbox in settings.mailboxes}
        gone = [m for m in (*self._configured.mailboxes, *self._kept) if m.name not in names]
        current = self._with_fixed(settings).model_copy(
            update={"webhook": _with_live(self._current.webhook, settings.webhook)}
        )
        self._kept = () if may_remove else tuple({m.name: m for m in gone}.values())
        self._configured, self._current = settings, current
        for tell in self._listeners:
            tell()

    def waiting_for_restart(self, settings: Settings) -> Sequence[str]:
        """Name the sections in which these differ, where it takes a restart, from the last ones."""
        old = self._configured
        fixed = [name for name in FIXED if _fixed(old, name) != _fixed(settings, name)]
        return [*fixed, *(["webhook"] if _listening(old) != _listening(settings) else [])]

    def envelope_grace(self) -> float:
        """Return the seconds for which the envelope of a mail may still come after S3 stored it."""
        return self.current.effective_envelope_grace

    def _with_fixed(self, settings: Settings) -> Settings:
        fixed = {name: getattr(self._at_start, name) for name in FIXED}
        fixed["bucket"] = _limited(self._at_start.bucket, settings.bucket)
        return settings.model_copy(update=fixed)


def _with_live(
    current: WebhookSettings | None, settings: WebhookSettings | None
) -> WebhookSettings | None:
    if current is None or settings is None:
        return current
    return current.model_copy(update={name: getattr(settings, name) for name in LIVE_IN_WEBHOOK})


def _limited(current: BucketSettings, settings: BucketSettings) -> BucketSettings:
    return current.model_copy(update={name: getattr(settings, name) for name in LIVE_IN_BUCKET})


def _fixed(settings: Settings, name: str) -> object:
    value = getattr(settings, name)
    return value.model_dump(exclude=set(LIVE_IN_BUCKET)) if name == "bucket" else value


def _listening(settings: Settings) -> object:
    webhook = settings.webhook
    return webhook and webhook.model_dump(exclude=set(LIVE_IN_WEBHOOK))
