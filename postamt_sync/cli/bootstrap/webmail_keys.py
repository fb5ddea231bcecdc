"""Rotates the webmail's keys: new ones come first, the current ones stay valid for one rotation."""

from __future__ import annotations

from rich.console import Console

from postamt_sync.bootstrap.plan import Plan, PlanEntry, carry_out
from postamt_sync.bootstrap.resources.distribution import DEPLOYED
from postamt_sync.bootstrap.webmail_resources import parts
from postamt_sync.cli.bootstrap.stack import Opened, agreed, show
from postamt_sync.cli.console import paragraph
from postamt_sync.errors import TryLaterError

KEPT = (
    "Nobody is cut off: the current keys stay valid until the next rotation. Whoever signed in "
    "before two rotations has to sign in again."
)


def rotate_webmail(account: Opened, console: Console, *, yes: bool) -> None:
    """Add new keys for sessions and known devices, and a new secret for CloudFront.

    Raises TryLaterError while CloudFront is still deploying the last secret: some of its locations
    send the one before it, which would no longer be valid.
    """
    made = parts(account.stack.wanted_webmail(), account.aws)
    found = made.distribution.find()
    if found is not None and found.status != DEPLOYED:
        raise TryLaterError(
            "CloudFront is still rolling out its last change.",
            "Wait some minutes, and rotate then: a secret that is on its way must stay valid.",
        )
    rotated = (made.session_keys, made.device_keys, made.origin_secret)
    entries = [PlanEntry(one.title, tuple(one.rotate())) for one in rotated]
    entries.append(PlanEntry(made.distribution.title, tuple(made.distribution.renew())))
    wanted = Plan(tuple(entries))
    account.introduce(console)
    show(wanted, console)
    console.print()
    paragraph(console, KEPT)
    agreed("Rotate the webmail's keys?", yes=yes)
    carry_out(wanted, account.aws, lambda title, message: paragraph(console, f"{title}: {message}"))
