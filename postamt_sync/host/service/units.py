"""The drop-ins that adapt the shipped units to one machine: user, program, paths, addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.config import ListenAddress, Settings
from postamt_sync.config.load import DEFAULT_PATH
from postamt_sync.host.service.program import Program, hidden

STEPS_SINCE = 254
"""The version of systemd that introduced RestartSteps= (systemd.service(5))."""
STATE_DIR = Path("/var/lib/postamt-sync")
"""The directory that StateDirectory= creates and opens for us."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the units depend on."""

    program: Program
    user: str
    group: str
    systemd: int
    """The version of systemd."""


def written(settings: Settings) -> list[Path]:
    """Return where the service writes apart from its state: the Maildirs and the ledger's backup.

    Each may be on a disk that is not mounted, which must not keep the service from running.
    """
    backup = [settings.backup_dir] if settings.backup_dir else []
    return [*(mailbox.maildir for mailbox in settings.mailboxes), *backup]


def service_dropin(settings: Settings, machine: Machine, usual: Path = DEFAULT_PATH) -> str:
    """Return the drop-in for the service unit.

    It makes only the configured paths writable. The service starts without a Maildir, but not
    without its state directory. The command line names the configuration unless it is the `usual`
    one.
    """
    return "\n".join(_service_lines(settings, machine, usual)) + "\n"


def socket_addresses(settings: Settings) -> list[ListenAddress]:
    """Return the addresses on which systemd can listen for the webhook; empty if the daemon has to.

    It has to if there is a host name, which must be resolved, or port 0, which must be chosen.
    """
    if settings.webhook is None:
        return []
    addresses = list(settings.webhook.listen)
    return addresses if all(_fixed(address) for address in addresses) else []


def socket_dropin(addresses: Iterable[ListenAddress]) -> str:
    """Return the drop-in for the socket unit, which replaces its addresses."""
    listen = [f"ListenStream={address}" for address in addresses]
    return "\n".join(["[Socket]", "ListenStream=", *listen]) + "\n"


def quoted(path: Path, prefix: str = "") -> str:
    """Quote a path as one word of a unit file (systemd.syntax(7)); `prefix` is "-" or empty."""
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
    """Yield the settings that make `data` writable, and everything below /home visible at all."""
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
