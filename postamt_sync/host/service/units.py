"""The drop-ins that fit the shipped units to one machine: user, program, paths, addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.config import ListenAddress, Settings
from postamt_sync.config.load import DEFAULT_PATH
from postamt_sync.host.service.program import Program, hidden

STEPS_SINCE = 254
"""The systemd that learned to restart more and more slowly (systemd.service(5))."""
STATE_DIR = Path("/var/lib/postamt-sync")
"""What StateDirectory= makes and opens for us."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a unit must know of the machine."""

    program: Program
    user: str
    group: str
    systemd: int
    """systemd's version."""


def written(settings: Settings) -> list[Path]:
    """Return what the service writes to beside its state: the Maildirs, the ledger's second copy.

    Each may lie on a disk of its own that is not mounted, without keeping the service from running.
    """
    backup = [settings.backup_dir] if settings.backup_dir else []
    return [*(mailbox.maildir for mailbox in settings.mailboxes), *backup]


def service_dropin(settings: Settings, machine: Machine, usual: Path = DEFAULT_PATH) -> str:
    """Return what the service unit needs beside its shipped form.

    Only the configured paths can be written to. A Maildir that is missing when the service starts
    does not keep it from starting; a state directory that is missing does. The command line names
    the configuration unless it is the `usual` one.
    """
    return "\n".join(_service_lines(settings, machine, usual)) + "\n"


def socket_addresses(settings: Settings) -> list[ListenAddress]:
    """Return the addresses that systemd can hold for the webhook; empty: it opens its own.

    A name must be looked up and port 0 be chosen, and both by the daemon itself.
    """
    if settings.webhook is None:
        return []
    addresses = list(settings.webhook.listen)
    return addresses if all(_fixed(address) for address in addresses) else []


def socket_dropin(addresses: Iterable[ListenAddress]) -> str:
    """Return the socket unit's addresses, in place of the shipped ones."""
    listen = [f"ListenStream={address}" for address in addresses]
    return "\n".join(["[Socket]", "ListenStream=", *listen]) + "\n"


def quoted(path: Path, prefix: str = "") -> str:
    """Write a path as one word of a unit file (systemd.syntax(7)); `prefix` is a - or nothing."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = not set(text) & set(" \\\"'%")
    return f"{prefix}{text}" if plain else f'"{prefix}{text}"'


def _service_lines(settings: Settings, machine: Machine, usual: Path) -> Iterator[str]:
    program, source = machine.program, Path(settings.source)
    yield "[Unit]"
    yield f"RequiresMountsFor={quoted(settings.state_dir)}"
    yield ""
    yield "[Service]"
    yield f"User={machine.user}"
    yield f"Group={machine.group}"
    command = quoted(program.command).replace("$", "$$")
    config = "" if source == usual else f" --config {quoted(source).replace('$', '$$')}"
    yield "ExecStart="
    yield f"ExecStart={command} run{config}"
    yield f"ExecPaths={_words(program.places)}" if program.places else "# ExecPaths=/usr is enough."
    if settings.state_dir != STATE_DIR:
        yield f"ReadWritePaths={quoted(settings.state_dir)}"
    yield from _opened(written(settings), program.places)
    if socket_addresses(settings):
        yield "Sockets=postamt-sync.socket"
    if machine.systemd >= STEPS_SINCE:
        yield "RestartSteps=6"
        yield "RestartMaxDelaySec=2min"


def _opened(data: Sequence[Path], code: Sequence[Path]) -> Iterator[str]:
    """Open what is written to; below /home it and the code first have to be shown at all."""
    if any(hidden(path) for path in (*data, *code)):
        yield "# Of the homes only these are there:"
        yield "ProtectHome=tmpfs"
    for path in code:
        if hidden(path):
            yield f"BindReadOnlyPaths={quoted(path, '-')}"
    for path in data:
        if hidden(path):
            yield f"BindPaths={quoted(path, '-')}"
        else:
            yield f"ReadWritePaths={quoted(path, '-')}"


def _words(paths: Iterable[Path]) -> str:
    return " ".join(quoted(path, "-") for path in paths)


def _fixed(address: ListenAddress) -> bool:
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        return False
    return address.port != 0
