"""From nothing to the first mail, by the commands that a person types; nothing is set by hand."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from postamt_sync.bootstrap.key_file import SMTP_CREDENTIALS, SYNC_CREDENTIALS
from postamt_sync.demo.cloud import CREDENTIALS, NAME, REGION, Cloud
from postamt_sync.demo.daemon import DaemonProcess
from postamt_sync.demo.samples import ANNA, BRUNO, plain
from postamt_sync.demo.ses import Ses
from tests.doubles.emulator import LoadedEmulator
from tests.support import forked
from tests.support.ports import reserved_port

PATIENCE = 60.0


async def type_(directory: Path, environment: dict[str, str], *words: str) -> tuple[int, str]:
    """Run a command as a person's script does: nobody can be asked."""
    said = directory / "said"
    said.unlink(missing_ok=True)
    process = forked.start(words, environment, directory, (said, said))
    code = await asyncio.to_thread(process.wait, 100)
    return code, said.read_text()


async def test_init_apply_run_and_there_is_mail(tmp_path: Path) -> None:
    port = reserved_port()
    url = f"http://127.0.0.1:{port}/sns"
    config, keys, mail = tmp_path / "config.toml", tmp_path / "keys", tmp_path / "mail"
    async with Cloud(100, url, emulator=LoadedEmulator()) as cloud:
        admin = {**cloud.environment(os.environ), **CREDENTIALS, "COLUMNS": "80"}
        init = ("bootstrap", "init", "--name", NAME, "--domain", "example.com")
        home = ("--mailbox", "anna", "--mailbox", "bruno", "--maildirs", str(mail))
        place = ("--region", REGION, "--public-url", url, "--listen", f"127.0.0.1:{port}")
        where = ("--state-dir", str(tmp_path / "state"), "--output", str(config))
        assert await type_(tmp_path, admin, *init, *home, *place, *where) == (
            0,
            (
                f"Written: {config}. Look through it; then: postamt-sync bootstrap plan "
                f"--config {config}\n"
            ),
        )
        at = ("--config", str(config), "--out", str(keys))
        code, said = await type_(tmp_path, admin, "bootstrap", "plan", *at)
        assert code == 2, said
        code, said = await type_(tmp_path, admin, "bootstrap", "apply", "--yes", *at)
        assert code == 0, said
        assert "inbound-smtp.eu-west-1.amazonaws.com" in said
        code, said = await type_(tmp_path, admin, "bootstrap", "plan", "--json", *at)
        assert code == 0, said
        assert {n["note"].partition(",")[0] for n in json.loads(said)["notes"]} >= {
            "waiting for the daemon"
        }

        secrets = [secret_of(keys / name) for name in (SYNC_CREDENTIALS, SMTP_CREDENTIALS)]
        heard: list[dict[str, Any]] = []
        own = {k: v for k, v in admin.items() if "ACCESS_KEY" not in k}
        own["AWS_SHARED_CREDENTIALS_FILE"] = str(keys / SYNC_CREDENTIALS)
        log = tmp_path / "daemon.log"
        ses = Ses(cloud, seed=1)
        async with DaemonProcess(config, own, log, heard.append):
            letter = plain("A letter", "Tea")
            taken = await ses.receive(letter.message, letter.sender, (ANNA, BRUNO))
            async with asyncio.timeout(PATIENCE):
                while sorted(boxes(mail, taken.content)) != ["anna", "bruno"]:
                    await asyncio.sleep(0.05)
            code, said = await type_(tmp_path, admin, "bootstrap", "plan", "--json", *at)
            notes = [n["note"] for n in json.loads(said)["notes"]]
            assert not any("waiting for the daemon" in note for note in notes)
            code, said = await type_(
                tmp_path, admin, "bootstrap", "verify", "--offline", "--json", *at
            )
            found = {f["subject"]: f["outcome"] for f in json.loads(said)["findings"]}
            assert found["webhook"] == found["announcement"] == found["plan"] == "ok"
        assert not any(secret in log.read_text() for secret in secrets)


def secret_of(path: Path) -> str:
    """Return the last value of a file of credentials, which is the secret one."""
    return path.read_text().strip().rpartition(" = ")[2]


def boxes(mail: Path, content: bytes) -> list[str]:
    """Return the mailboxes that hold these bytes, one for each file."""
    found = (mail / "example.com").glob("*/Maildir/new/*")
    return [path.parents[2].name for path in found if path.read_bytes() == content]
