"""The steps of `join` on the box. Each leaves alone what is done already."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

from rich.console import Console
from rich.text import Text

from postamt_sync.aws.smtp import smtp_server
from postamt_sync.bootstrap.key_file import is_smtp_credentials
from postamt_sync.cli.console import paragraph
from postamt_sync.cli.dovecot import described, rendered, write_files
from postamt_sync.cli.dovecot_relay import relay
from postamt_sync.cli.service import install_steps
from postamt_sync.config import Settings, load
from postamt_sync.errors import MisconfiguredError
from postamt_sync.host.dovecot import managed_files
from postamt_sync.host.dovecot.conf import passwords_file
from postamt_sync.host.dovecot.description import installed_version
from postamt_sync.host.dovecot.passwd_files import (
    generated,
    has_line,
    hashed,
    other_forms,
    with_password,
)
from postamt_sync.host.service.certificate import Pair, webhook_host, webhook_pair
from postamt_sync.host.service.steps import Leave, Run
from postamt_sync.setup.answers import CONFIGURATION
from postamt_sync.setup.arrival_watch import ArrivalWatch, reads_it
from postamt_sync.setup.box_address import leads_nowhere, own_address
from postamt_sync.setup.bundle import Bundle
from postamt_sync.setup.certificates import Origin, put_hooks, refuse_missing, settle
from postamt_sync.setup.dovecot_packages import (
    install_packages,
    is_stock,
    missing_packages,
    wanted_packages,
)
from postamt_sync.setup.placed_files import ETC, IMAP_CHAIN, place, refuse_other_release

DOVECOT = Path("/etc/dovecot")


def install_all(
    bundle: Bundle, console: Console, *, force: bool
) -> tuple[Settings, dict[str, str]]:
    """Put everything in place and start it; return the settings, and new passwords by mailbox."""
    refuse_other_release(bundle)
    _head(console, "Configuration and keys")
    for path in place(bundle, force=force):
        _well(console, f"{path} written")
    settings = load(ETC / CONFIGURATION, {})
    if bundle.dovecot:
        _packages(settings, console)
    _certificates(settings, console, dovecot=bundle.dovecot)
    _head(console, "Service")
    with redirect_stdout(io.StringIO()):
        steps = install_steps(settings)
    for step in steps:
        step.do()
        if isinstance(step, Leave) and not step.is_up_to_date:
            paragraph(console, str(step), "     ", "yellow")
    Run(["systemctl", "restart", "postamt-sync.service"]).do()
    _well(console, "the daemon runs, and at every start of this machine")
    passwords = _dovecot(settings, bundle, console, force=force) if bundle.dovecot else {}
    return settings, passwords


def watch_first_mail(
    settings: Settings, key: str, passwords: dict[str, str], console: Console
) -> None:
    """Print each stage of the first mail as it gets there."""
    _head(console, "Your first mail")
    _well(console, "it waits in the bucket")
    for station in ArrivalWatch(settings, key).stations():
        _well(console, station)
    mailbox = settings.default_mailbox
    if (password := passwords.get(mailbox.name)) is None:
        return
    if not reads_it(mailbox, password):
        raise MisconfiguredError(
            f"{mailbox.name} cannot read it over IMAP.",
            "Look at: sudo journalctl --unit dovecot --lines 30",
        )
    _well(console, f"{mailbox.name} reads it over IMAP")


def show_logins(settings: Settings, passwords: dict[str, str], console: Console) -> None:
    """Print the settings and passwords for mail clients."""
    home = settings.home
    _head(console, "Mail clients")
    sends = f"{home.imap_host}, port 465 or 587" if home.submission else "see: postamt-sync client"
    for name, value in (("read from", f"{home.imap_host}, port 993, TLS"), ("send by", sends)):
        console.print(Text(f"  {name:<10}{value}"), soft_wrap=True)
    if leads_nowhere(home.imap_host):
        here = f" ({own_address()})" if own_address() else ""
        paragraph(
            console,
            f"{home.imap_host} is not in the DNS yet. Enter it with the address of this machine"
            f"{here}, where the domain's DNS is hosted or in your router.",
            "  ",
            "yellow",
        )
    for mailbox in settings.mailboxes:
        login = next((a for a in mailbox.addresses if "@" in a), mailbox.name)
        secret = passwords.get(mailbox.name)
        console.print(Text(f"  {'login':<10}{login}", style="bold"), soft_wrap=True)
        if secret:
            console.print(Text(f"  {'password':<10}{secret}   (shown this once)"), soft_wrap=True)
        else:
            again = f"sudo postamt-sync dovecot user passwd {mailbox.name} --generate"
            paragraph(console, f"has a password already; another one: {again}", "            ")


def _packages(settings: Settings, console: Console) -> None:
    missing = missing_packages(wanted_packages(submission=settings.home.submission))
    _head(console, "Dovecot")
    if missing:
        with console.status("Installing Dovecot; this takes a minute or two."):
            install_packages(missing)
        _well(console, f"{' and '.join(missing)} installed")


def _certificates(settings: Settings, console: Console, *, dovecot: bool) -> None:
    webhook = webhook_pair(settings)
    if webhook is not None:
        host = webhook_host(settings)
        origin = settle(webhook, host, "root")
        _well(console, f"the certificate of {host} {origin}")
        if origin is Origin.SELF_SIGNED:
            paragraph(
                console,
                "SNS takes none that was made here: until certbot has one for this name, mail is "
                "found by the poll. Get it with: sudo certbot certonly --standalone --deploy-hook "
                f"/etc/postamt-sync/certificate-renewed -d {host}",
                "     ",
            )
    home = settings.home
    if not dovecot or home.tls_certificate is None or home.tls_key is None:
        return
    pair = Pair(home.tls_certificate, home.tls_key)
    if str(pair.chain) != str(IMAP_CHAIN):
        refuse_missing(pair)
        return
    _well(console, f"the certificate of {home.imap_host} {settle(pair, home.imap_host, 'root')}")
    put_hooks(pair, home.imap_host)


def _dovecot(
    settings: Settings, bundle: Bundle, console: Console, *, force: bool
) -> dict[str, str]:
    _head(console, "IMAP")
    version = installed_version()
    if version is None:
        raise MisconfiguredError(
            "This machine's Dovecot is neither 2.3 nor 2.4.", "Install one, and join again."
        )
    described_service = described(settings, DOVECOT, submission=settings.home.submission)
    files = rendered(described_service, version, DOVECOT)
    stock = is_stock(DOVECOT / "dovecot.conf")
    with redirect_stdout(io.StringIO()):  # what those verbs suggest as the next step is done here
        kept = write_files(files, DOVECOT, force=force or stock)
        senders = [name for name in bundle.files if is_smtp_credentials(Path(name))]
        if senders and smtp_server(settings.aws.region) is not None:
            source = ETC if settings.stack.smtp_per_mailbox else ETC / senders[0]
            relay(credentials=source, mailbox="", directory=DOVECOT, config=ETC / CONFIGURATION)
    for path, aside in kept.items():
        _well(console, f"{path} was kept as {aside}")
    passwords = {
        mailbox.name: password
        for mailbox in settings.mailboxes
        if (password := _new_password(mailbox.name))
    }
    Run(["systemctl", "restart", "dovecot.service"]).do()
    _well(console, "Dovecot serves")
    return passwords


def _new_password(name: str) -> str:
    """Make a password for a mailbox that has none; "" if it has one."""
    path = passwords_file(DOVECOT)
    with managed_files.alone(DOVECOT):
        before = managed_files.read(path) or ""
        if has_line(before, name):
            return ""
        password = generated()
        after = with_password(before, name, hashed(password), other_forms(password))
        managed_files.write(path, after, managed_files.SECRET)
    return password


def _head(console: Console, title: str) -> None:
    console.print(Text(f"\n{title}", style="bold"))


def _well(console: Console, what: str) -> None:
    paragraph(console, f"ok   {what}", hanging="     ")
