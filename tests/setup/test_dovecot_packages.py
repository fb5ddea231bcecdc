"""What apt answers, by an apt-get of our own in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.setup.dovecot_packages import install_packages

APT = """\
#!/bin/sh
echo "$*" >>{place}/asked
case "$*" in
*update*) {update} ;;
*) [ -e {place}/updated ] || {{ echo '{says}' >&2; exit 100; }} ;;
esac
"""


def apt(place: Path, monkeypatch: pytest.MonkeyPatch, says: str, *, mends: bool) -> Path:
    """Put one in place that refuses with these words, until `update` has mended it if it does."""
    update = f"touch {place}/updated" if mends else "exit 100"
    program = place / "apt-get"
    program.write_text(APT.format(place=place, says=says, update=update))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    return place / "asked"


@pytest.mark.parametrize(
    "says",
    [
        "E: Unable to locate package dovecot-imapd",
        "E: Package dovecot-imapd has no installation candidate",
        "E: Failed to fetch http://mirror/dovecot-imapd_1_arm64.deb  404  Not Found",
    ],
)
def test_old_lists_are_made_new_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    asked = apt(tmp_path, monkeypatch, says, mends=True)
    install_packages(("dovecot-imapd",))
    install = "install --yes dovecot-imapd"
    assert asked.read_text().splitlines() == [install, "--quiet update", install]


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ("E: Could not get lock /var/lib/dpkg/lock-frontend", TryLaterError),
        ("E: Failed to fetch http://mirror/x  Temporary failure resolving mirror", TryLaterError),
        ("E: Unable to locate package dovecot-imapd", MisconfiguredError),
        ("E: dpkg was interrupted", MisconfiguredError),
    ],
)
def test_what_passes_is_told_from_what_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, kind: type[Exception]
) -> None:
    apt(tmp_path, monkeypatch, says, mends=False)
    with pytest.raises(kind, match=says[:14]) as refused:
        install_packages(("dovecot-imapd",), sleep=lambda _: None)
    assert type(refused.value) is kind


def test_another_apt_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that a join which was killed has left, for instance."""
    asked = apt(tmp_path, monkeypatch, "E: Could not get lock /var/lib/dpkg/lock", mends=False)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            (tmp_path / "updated").touch()

    install_packages(("dovecot-imapd",), sleep)
    assert len(pauses) == 3
    assert asked.read_text().splitlines() == ["install --yes dovecot-imapd"] * 4


TROUBLES = """\
#!/bin/sh
# Each trouble passes by its own remedy; one is met at a time, and the lock is taken again between.
say() {{ echo "$1" >&2; exit 100; }}
echo "${{0##*/}} $*" >>{place}/asked
tried() {{ [ -e {place}/"$1" ]; }}
unlocked() {{ tried free || say 'E: Could not get lock /var/lib/apt/lists/lock'; }}
case "${{0##*/}} $*" in
"dpkg --configure -a") touch {place}/configured ;;
*--fix-broken) touch {place}/fixed ;;
*update) unlocked; touch {place}/updated ;;
*)
    tried configured || say '{interrupted}'
    tried fixed || say 'E: Unmet dependencies. Try apt --fix-broken install with no packages'
    tried updated || say 'E: Unable to locate package dovecot-imapd'
    ;;
esac
"""


@pytest.mark.parametrize(
    "interrupted",
    [
        "E: dpkg was interrupted, you must manually run dpkg --configure -a",
        "E: Sub-process /usr/bin/dpkg returned an error code (1)",
        "E: Sub-process /usr/bin/dpkg received signal 9.",
    ],
)
def test_one_trouble_after_another_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    """Also where the machine's own apt looks at its lists just then."""
    for name in ("apt-get", "dpkg"):
        program = tmp_path / name
        program.write_text(TROUBLES.format(place=tmp_path, interrupted=interrupted))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    install_packages(("dovecot-imapd",), lambda _: (tmp_path / "free").touch())
    install, update = "apt-get install --yes dovecot-imapd", "apt-get --quiet update"
    assert (tmp_path / "asked").read_text().splitlines() == [
        *(install, "dpkg --configure -a"),
        *(install, "apt-get install --yes --fix-broken"),
        *(install, update, update, install),
    ]


def test_what_a_killed_apt_left_half_done_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = apt(tmp_path, monkeypatch, "E: dpkg was interrupted", mends=False)
    dpkg = tmp_path / "dpkg"
    dpkg.write_text(f'#!/bin/sh\n[ "$*" = "--configure -a" ] && touch {tmp_path}/updated\n')
    dpkg.chmod(0o755)
    install_packages(("dovecot-imapd",))
    assert len(asked.read_text().splitlines()) == 2
