"""What strikes the house. Each fault is a block: it begins, lasts for as long as it is open, ends.

Faults are mixed by nesting them, so each must stand any other being open at the same time.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from errno import EOPNOTSUPP
from pathlib import Path

from tests.doubles.odd_aws import LOGIN_PAGE
from tests.doubles.s3_faults import Fault as S3Fault
from tests.doubles.s3_faults import corrupt, cut, declare, refuse, reset, send, stall
from tests.faults.campaign.odd_disk import built, environment
from tests.faults.campaign.world import World

S3_FAULTS: tuple[S3Fault, ...] = (
    refuse(503, "SlowDown"),
    refuse(500, "InternalError"),
    refuse(403, "AccessDenied"),
    refuse(403, "RequestTimeTooSkewed"),
    refuse(400, "ExpiredToken"),
    refuse(404, "NoSuchBucket"),
    send(LOGIN_PAGE, content_type="text/html"),
    send(b""),
    send(b"null"),
    send(LOGIN_PAGE, status=302, location="http://127.0.0.1:9/login"),
    corrupt(0),
    cut(10),
    declare(3),
    reset(),
    stall(20),
)
STORM = 400
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
"""What lets a process believe in another time."""
AT_ONCE = 16


@contextmanager
def killed(world: World) -> Iterator[None]:
    world.kill()
    yield
    world.start()


@contextmanager
def killed_again_and_again(world: World) -> Iterator[None]:
    """Killed before it is ready, while it is starting, right after it has started."""
    for _ in range(5):
        world.kill()
        world.start()
        world.live(world.chance.uniform(0, 1.0))
    yield


@contextmanager
def suspended(world: World) -> Iterator[None]:
    """The machine sleeps; the world does not."""
    daemon = world.daemon
    with suppress(ProcessLookupError, AttributeError):
        daemon.signal(signal.SIGSTOP)  # type: ignore[union-attr]
    yield
    with suppress(ProcessLookupError, AttributeError):
        daemon.signal(signal.SIGCONT)  # type: ignore[union-attr]


@contextmanager
def sick_s3(world: World) -> Iterator[None]:
    """One answer in a few is wrong, in every way that was ever seen."""
    for _ in range(60):
        healthy = world.chance.random() < 0.4
        world.s3.next((lambda reply: reply) if healthy else world.chance.choice(S3_FAULTS))
    yield
    world.s3.heal()


@contextmanager
def replayed(world: World) -> Iterator[None]:
    """A storm of notifications that came before, some of them forged."""
    bodies = [body for body in world.sender.announced for _ in range(2)] or [b"{}"]
    forged = [body.replace(b"incoming/", b"outgoing/") for body in bodies[:50]] + [b"", b"[" * 9999]
    todo = world.chance.choices(bodies, k=STORM) + forged
    threads = [
        threading.Thread(target=lambda mine: [world.sender.post(b) for b in mine], args=(part,))
        for part in (todo[n::AT_ONCE] for n in range(AT_ONCE))
    ]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


@contextmanager
def passed_beside(world: World) -> Iterator[None]:
    """`sync` beside `run` is refused; where `run` was just killed, it may take its place."""
    world.home.do("sync", "--json")
    yield
    world.home.do("sync", "--json")


@contextmanager
def out_of_descriptors(world: World) -> Iterator[None]:
    """The process may open hardly anything more for a while."""
    with _limited(world, resource.RLIMIT_NOFILE, _descriptors):
        yield


@contextmanager
def short_files(world: World) -> Iterator[None]:
    """Writes end early: no file may grow beyond 100 kB, so that larger drafts are cut short."""
    with _limited(world, resource.RLIMIT_FSIZE, lambda _: 100_000):
        yield


@contextmanager
def ledger_lost(world: World) -> Iterator[None]:
    """The state directory is emptied while nothing runs."""
    if _takes_files(world, "state"):
        world.kill()
        _empty(world)
        world.start()
    yield


@contextmanager
def ledger_older(world: World) -> Iterator[None]:
    """A ledger of a few seconds ago, its log included, takes the place of the present one."""
    copy = world.home.root / "copy of the state"
    shutil.rmtree(copy, ignore_errors=True)
    whole = _takes_files(world, "state")
    if whole:
        world.kill()
        shutil.copytree(world.home.state, copy, ignore=shutil.ignore_patterns("lost+found"))
        world.start()
    yield
    if whole and _takes_files(world, "state"):
        world.kill()
        _empty(world)
        shutil.copytree(copy, world.home.state, dirs_exist_ok=True)
        os.sync()
        world.start()


@contextmanager
def maildirs_older(world: World) -> Iterator[None]:
    """All Maildirs are restored from a copy of a few seconds ago: what came since comes again."""
    copies = world.home.root / "copy of the mail"
    shutil.rmtree(copies, ignore_errors=True)
    whole = _takes_files(world, "mail")
    if whole:
        with _all_to_ourselves(world):
            for name, root in world.home.maildirs.items():
                shutil.copytree(root, copies / name)
    yield
    if not whole or not _takes_files(world, "mail"):
        return
    with _all_to_ourselves(world):
        for name, root in world.home.maildirs.items():
            shutil.rmtree(root)
            shutil.copytree(copies / name, root)
            _give(root, copies / name)
        os.sync()  # what a person restores is theirs to make durable, before the power goes again


@contextmanager
def power_cut(world: World) -> Iterator[None]:
    """All disks lose their power, one a moment before the other; then the box starts again."""
    images = list(world.images.values())
    world.chance.shuffle(images)
    for image in images:
        world.cuts += 1
        image.lose_power()
        world.live(world.chance.choice([0, 0, 0.05]))
    _reboot(world)
    yield


@contextmanager
def one_disk_dies(world: World) -> Iterator[None]:
    """The disk of the Maildirs fails every access; `status` says so; the box starts again."""
    image = world.images["mail"]
    world.cuts += 1
    image.lose_power()
    yield
    if image.is_dead:  # another fault may have had the box started again
        world.told("The disk answers with an input/output error")
    _reboot(world)


@contextmanager
def ledger_disk_dies(world: World) -> Iterator[None]:
    """The same of the disk of the ledger: nothing is taken any more, and nothing falls over."""
    world.cuts += 1
    world.images["state"].lose_power()
    yield
    _reboot(world)


@contextmanager
def full(world: World) -> Iterator[None]:
    """No room is left, or no file can be made in what is left."""
    image = world.chance.choice(list(world.images.values()))
    world.chance.choice([image.fill, image.use_up_inodes])()
    yield
    if image is world.images.get("mail") and image.is_full:
        world.told("The disk is full")
    image.make_room()


@contextmanager
def read_only(world: World) -> Iterator[None]:
    image = world.images["mail"]
    became = image.remount("ro")
    yield
    if became and not image.is_dead:
        world.told("read-only", "The disk is full")
    image.remount("rw")


@contextmanager
def clock_jumps(world: World) -> Iterator[None]:
    """The clock of the machine is years or hours wrong, jumps again, and is right in the end."""
    time = world.home.root / "time"
    jumps = world.chance.choices(["-3650d", "-2h", "-20s", "+20s", "+2h", "+30d", "+400d"], k=3)
    time.write_text(jumps.pop())
    when = [f"FAKETIME_TIMESTAMP_FILE={time}", "FAKETIME_NO_CACHE=1"]
    world.start_under(["env", f"LD_PRELOAD={FAKETIME}", *when, "FAKETIME_DONT_FAKE_MONOTONIC=1"])
    world.live(3)
    for jump in jumps:
        time.write_text(jump)
        world.live(2)
    yield
    world.kill()
    world.start()


def failing(call: str, how: str) -> Callable[[World], AbstractContextManager[None]]:
    """A fault in which one system call in a few goes wrong, from when the daemon has started."""

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", os.devnull, "-e", f"trace={call}"]
        first, step = world.chance.randint(3, 30), world.chance.randint(2, 9)
        world.start_under([*strace, "-e", f"inject={call}:{how}:when={first}+{step}"])
        world.live(4)
        yield
        world.kill()
        world.start()

    return fault


def odd_disk(ways: str, error: int = 0) -> Callable[[World], AbstractContextManager[None]]:
    """A fault in which the file systems are of another kind, see odd_disk.c."""

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        root = world.home.root
        variables = environment(built(root), root, ways, error)
        world.start_under(["env", *(f"{name}={value}" for name, value in variables.items())])
        world.live(4)
        yield
        world.kill()
        world.start()

    return fault


@dataclass(frozen=True)
class Fault:
    """`needs`: what must be at hand, of "a disk", "mail disk", "state disk", and of programs."""

    begin: Callable[[World], AbstractContextManager[None]]
    needs: frozenset[str] = frozenset()


A_DISK, MAIL_DISK, STATE_DISK, STRACE, A_CLOCK, A_COMPILER = (
    frozenset({need})
    for need in ("a disk", "mail disk", "state disk", "strace", "faketime", "compiler")
)
FAULTS = {
    "killed": Fault(killed),
    "killed again and again": Fault(killed_again_and_again),
    "suspended": Fault(suspended),
    "clock jumps": Fault(clock_jumps, A_CLOCK),
    "sick S3": Fault(sick_s3),
    "replayed": Fault(replayed),
    "a pass beside": Fault(passed_beside),
    "out of descriptors": Fault(out_of_descriptors),
    "short files": Fault(short_files),
    "ledger lost": Fault(ledger_lost),
    "ledger older": Fault(ledger_older),
    "Maildirs older": Fault(maildirs_older),
    "power cut": Fault(power_cut, A_DISK),
    "disk dies": Fault(one_disk_dies, MAIL_DISK),
    "ledger's disk dies": Fault(ledger_disk_dies, STATE_DISK),
    "disk full": Fault(full, A_DISK),
    "disk read-only": Fault(read_only, MAIL_DISK),
    "fsync fails": Fault(failing("fsync,fdatasync", "error=EIO"), STRACE),
    "fsync is slow": Fault(failing("fsync,fdatasync", "delay_enter=300000"), STRACE),
    "rename fails": Fault(failing("rename,renameat,renameat2", "error=EIO"), STRACE),
    "reads are interrupted": Fault(failing("pread64", "error=EINTR"), STRACE),
    "short writes": Fault(odd_disk("short,broken"), A_COMPILER),
    "neither links nor modes": Fault(odd_disk("nolink,nomode,nodirsync", EOPNOTSUPP), A_COMPILER),
    "writes find no room": Fault(failing("pwrite64", "error=ENOSPC"), STRACE),
}


def _empty(world: World) -> None:
    world.forgotten = True
    for path in world.home.state.iterdir():
        if path.name != "lost+found":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _reboot(world: World) -> None:
    """End what has files of the disks open, mount them again, start."""
    world.kill()
    for image in world.images.values():
        image.unmount()
        image.mount()
    world.start()


@contextmanager
def _all_to_ourselves(world: World) -> Iterator[None]:
    """Nobody delivers and nobody reads."""
    world.kill()
    with world.reader.idle if world.reader is not None else nullcontext():
        yield
    world.start()


def _takes_files(world: World, disk: str) -> bool:
    """Whether a person could restore to it, whatever other fault is open just now."""
    image = world.images.get(disk)
    return image is None or image.takes_files


def _give(root: Path, model: Path) -> None:
    """Give everything to whom it belonged."""
    for path in [model, *model.rglob("*")]:
        status = path.lstat()
        os.chown(root / path.relative_to(model), status.st_uid, status.st_gid)


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir())) + 2


@contextmanager
def _limited(world: World, limit: int, soft: Callable[[int], int]) -> Iterator[None]:
    daemon = world.daemon
    if daemon is None:
        yield
        return
    pid = daemon.pid
    try:
        before = resource.prlimit(pid, limit)
        resource.prlimit(pid, limit, (soft(pid), before[1]))
    except OSError:
        yield
        return
    yield
    with suppress(OSError):
        resource.prlimit(pid, limit, before)
