"""Commands that we name work when they are typed: all texts, all ways in which they are shown."""

from __future__ import annotations

import ast
import email
import email.policy
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from postamt_sync.alerts.message import compose
from postamt_sync.alerts.texts import TEXTS
from postamt_sync.bootstrap.change import Change, Note
from postamt_sync.bootstrap.plan import Plan, PlanEntry
from postamt_sync.cli import in_force
from postamt_sync.cli.bootstrap.stack import show
from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.findings import report
from postamt_sync.cli.main import run
from postamt_sync.cli.verbs import VERBS, Verb, command_of
from postamt_sync.config.command import VERBS as KNOWN
from postamt_sync.config.command import WITH_OUT, CommandLine
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.errors import TryLaterError
from postamt_sync.ledger.incidents import Incident
from postamt_sync.logs import configure_logging
from tests.support.syntax import nodes

PACKAGE = Path(__file__).parents[2] / "postamt_sync"
NAMED = re.compile(r"(?<![\w/.-])postamt-sync ([a-z][a-z-]*(?: [a-z][a-z-]*){0,2})")


def leaves(command: Any, path: str) -> Iterator[tuple[str, set[str]]]:
    """Yield every command that can be typed, and its options."""
    context = command.make_context(path, [], resilient_parsing=True)
    options = {name for parameter in command.get_params(context) for name in parameter.opts}
    below = getattr(command, "list_commands", lambda _: ())(context)
    yield path, options
    for name in below:
        yield from leaves(command.get_command(context, name), f"{path} {name}")


@pytest.fixture(scope="module")
def commands() -> dict[str, set[str]]:
    return {
        path: options for verb in VERBS for path, options in leaves(command_of(verb), verb.name)
    }


def test_the_table_of_verbs_is_that_of_the_command_line(commands: dict[str, set[str]]) -> None:
    assert {path for path, options in commands.items() if "--config" in options} == KNOWN
    assert {path for path, options in commands.items() if "--out" in options} == WITH_OUT


@cache
def texts() -> list[tuple[str, str]]:
    return list(_texts())


def _texts() -> Iterator[tuple[str, str]]:
    for module in PACKAGE.rglob("*.py"):
        for node in nodes(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield module.relative_to(PACKAGE).as_posix(), node.value
    for page in PACKAGE.rglob("*.html"):
        yield page.name, page.read_text()


@pytest.mark.slow
def test_every_command_that_a_text_names_exists(commands: dict[str, set[str]]) -> None:
    prose = {*("as", "delivers", "is", "itself", "names", "on", "put", "run", "runs")}
    prose |= {"stands", "the", "with"}
    for where, text in texts():
        for found in NAMED.finditer(text):
            first = found[1].split()[0]
            assert first in {verb.name for verb in VERBS} | prose, (where, found[0])
            if first in {"bootstrap", "quarantine", "mailbox", "service", "webmail"}:
                words = found[1].split()
                known = [p for p in commands if p.split() == words[: len(p.split())] and " " in p]
                after = words[1:2] in (["put"], ["wrote"]) or words[1:] == []
                assert known or after, (where, found[0])


@pytest.mark.slow
def test_every_text_is_completed_wherever_it_names_a_command() -> None:
    line = CommandLine("/srv/my mail/config.toml", Path("/srv/keys"))
    for where, text in texts():
        if "Examples:" in text or where.startswith("demo/"):
            continue  # help, which is of no configuration; and the demo, which has its own
        whole = line.complete(text)
        for found in NAMED.finditer(whole):
            words = found[1].split()
            verb = next((v for n in (3, 2, 1) if (v := " ".join(words[:n])) in KNOWN), "")
            following = whole[found.start() :].removeprefix(f"postamt-sync {verb}")
            if verb and not following.startswith(" --help"):
                bounded = following.partition("postamt-sync ")[0]
                assert " --config '/srv/my mail/config.toml'" in bounded, (where, found[0])
                assert (" --out /srv/keys" in bounded) is (verb in WITH_OUT), (where, found[0])


@pytest.mark.slow
def test_nothing_of_the_command_line_prints_a_command_as_it_stands() -> None:
    """What is printed itself, and not by the frame, has to be completed there."""
    for module in (PACKAGE / "cli").rglob("*.py"):
        for node in nodes(module):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
                for said in node.args:
                    parts = said.values if isinstance(said, ast.JoinedStr) else [said]
                    literal = "".join(str(getattr(part, "value", "")) for part in parts)
                    assert CommandLine("/c").complete(literal) == literal, (module.name, literal)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (
            "See: postamt-sync quarantine list",
            "See: postamt-sync quarantine list --config /c.toml",
        ),
        (
            "Run sudo postamt-sync dovecot --write; then go on.",
            "Run sudo postamt-sync dovecot --config /c.toml --write; then go on.",
        ),
        (
            "postamt-sync sync looks for new ones.",
            "postamt-sync sync --config /c.toml looks for new ones.",
        ),
        ("what `postamt-sync status` says", "what `postamt-sync status --config /c.toml` says"),
        ("postamt-sync sync --help", "postamt-sync sync --help"),
        ("systemctl status postamt-sync, nothing", "systemctl status postamt-sync, nothing"),
        ("postamt-sync bootstrap init --output x", "postamt-sync bootstrap init --output x"),
        ("postamt-sync demo", "postamt-sync demo"),
        ("postamt-sync status --config /other", "postamt-sync status --config /other"),
        (
            "postamt-sync run, or postamt-sync sync --config /b",
            "postamt-sync run --config /c.toml, or postamt-sync sync --config /b",
        ),
        ("postamt-sync service", "postamt-sync service"),
        ("/etc/postamt-sync status", "/etc/postamt-sync status --config /c.toml"),
    ],
)
def test_what_is_put_in(text: str, typed: str) -> None:
    if text.startswith("/etc"):
        pytest.skip("no text of ours has a path before a verb")
    assert CommandLine("/c.toml").complete(text) == typed
    assert CommandLine("").complete(text) == text


def fail(config: str = "", out: str = "") -> None:
    raise TryLaterError("Nothing is there.", "Make it with: postamt-sync bootstrap apply")


DOUBLES = (Verb("fail", f"{__name__}:fail", "End badly."),)


@pytest.mark.parametrize(
    ("argv", "environ", "typed"),
    [
        (["--config", "a b.toml"], "", "--config '{cwd}/a b.toml'"),
        (["--config=c.toml", "--out", "keys"], "", "--config {cwd}/c.toml --out {cwd}/keys"),
        ([], "d.toml", "--config {cwd}/d.toml"),
        (["--config", "/etc/postamt-sync/config.toml"], "d.toml", ""),
        ([], "", ""),
    ],
)
def test_an_error_names_what_is_in_force(
    argv: list[str],
    environ: str,
    typed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTAMT_SYNC_CONFIG", environ)
    run(["fail", *argv], DOUBLES)
    whole = f"postamt-sync bootstrap apply {typed.format(cwd=tmp_path)}".rstrip()
    assert f"Hint: Make it with: {whole}\n" in capsys.readouterr().err


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A configuration that is in force, and is not the usual one."""
    config = tmp_path / "config.toml"
    in_force.remember(["--config", str(config)])
    return config


def test_findings_name_the_configuration(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Finding("bucket", Severity.FAILURE, "Gone.", "Try: postamt-sync bootstrap apply")]
    report(found, json=False)
    report(found, json=True)
    assert capsys.readouterr().out.count(f"bootstrap apply --config {elsewhere}") == 2


def test_plans_name_the_configuration(elsewhere: Path) -> None:
    out = StringIO()
    items = (Note("Show them with: postamt-sync bootstrap dns"),)
    show(Plan((PlanEntry("identity x", items),)), Console(file=out, width=40))
    assert f"postamt-sync bootstrap dns --config {elsewhere}" in out.getvalue()


def test_what_is_taken_away_has_another_mark() -> None:
    out = StringIO()
    plan = Plan((PlanEntry("bucket x", (Change("delete"),)),))
    show(plan, Console(file=out, width=80), "-")
    assert out.getvalue().splitlines()[1] == "- bucket x"


def test_log_lines_name_the_configuration(elsewhere: Path) -> None:
    out = StringIO()
    events = configure_logging(stream=out, words=in_force.complete)
    events.reload_refused("configuration", ["See: postamt-sync check"])
    assert f"postamt-sync check --config {elsewhere}" in json.loads(out.getvalue())["reasons"][0]


@pytest.mark.parametrize("cause", TEXTS)
def test_alerts_name_it_and_break_no_command(cause: Any) -> None:
    line = CommandLine("/srv/a/rather/long/directory/of/the/household/config.toml")
    told = Incident(cause, "x", 1.0, "it is so: postamt-sync status")
    letter: Any = email.message_from_bytes(
        compose([told], "anna", 2.0, line.typed), policy=email.policy.default
    )
    body = letter.get_content()
    for verb, rest in re.findall(r"postamt-sync ((?:[a-z]+ )*[a-z]+)(.*)", body):
        if verb in KNOWN:
            assert f" --config {line.source}" in rest


DOES = re.compile(
    r"\b(add|allow|decrypt|answer|ask|change|check|choose|copy|correct|create|delete|enter|end|fix|get|"
    r"give|hand|install|leave|let|look|make|mount|move|name|nothing|open|prove|put|raise|remove|repeat|replace|"
    r"report|run|say|see|send|set|sign in|start|stop|take|tried|try|type|use|wait|write|"
    r"as in|did you mean|example|it goes on|it may|it is valid|it need not|SES sends only)\b",
    re.IGNORECASE,
)


OURS = {
    *("PostamtError", "UsageError", "TryLaterError", "MisconfiguredError", "CredentialsError"),
    *("UndeliverableError", "ForbiddenError", "UnprovedError"),
}


def hints() -> Iterator[tuple[str, str]]:
    """Yield every hint that stands in our code, with its place; what is put in is left out."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in nodes(path):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[_, hint, *_]) if name in OURS:
                    words = [
                        part.value
                        for part in ast.walk(hint)
                        if isinstance(part, ast.Constant) and isinstance(part.value, str)
                    ]
                    if len(words) > 1 or (words and " " in words[0]):
                        yield f"{path.relative_to(PACKAGE)}:{node.lineno}", " ".join(words)


@pytest.mark.slow
def test_every_hint_says_what_to_do() -> None:
    found = dict(hints())
    assert len(found) > 150
    idle = {
        where: hint
        for where, hint in found.items()
        if not (DOES.search(hint) or "postamt-sync" in hint)
    }
    assert idle == {}


# Width


LONG = "Run " + "it " * 30 + "with: sudo postamt-sync mailbox accept thomas"


def test_no_command_is_broken_at_the_edge_of_a_terminal(tmp_path: Path) -> None:
    in_force.remember(["--config", str(tmp_path / "with a blank.toml")])
    for width in range(20, 120, 7):
        out = StringIO()
        paragraph(Console(file=out, width=width), LONG, "  ")
        (whole,) = [line for line in out.getvalue().splitlines() if "postamt-sync" in line]
        words = shlex.split(whole[whole.index("sudo ") :])
        assert words[:4] == ["sudo", "postamt-sync", "mailbox", "accept"]
        assert words[4:6] == ["--config", str(tmp_path / "with a blank.toml")]


def test_into_a_pipe_nothing_is_broken_or_filled_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    console = open_console()
    paragraph(console, "word " * 100)
    console.print("x" * 500)
    run(["bootstrap", "cost", "--mails-per-day", "100"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) >= 500
    assert lines[0].count("word") == 100
    assert [line for line in lines if line != line.rstrip()] == []


def test_failures_come_last_and_what_is_well_can_be_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = [
        Finding("a", Severity.FAILURE, "Bad.", "Mend it."),
        Finding("b", Severity.OK, "Well."),
        Finding("c", Severity.WARNING, "Odd."),
    ]
    assert report(found, json=False) == 3
    marks = [line.split() for line in capsys.readouterr().out.splitlines() if line[:1].strip()]
    assert marks[:3] == [["ok", "b"], ["warn", "c"], ["FAIL", "a"]]
    report(found, json=False, quiet=True)
    assert "Well." not in capsys.readouterr().out
    report(found[1:2], json=False, quiet=True)
    assert capsys.readouterr().out == ""


def test_a_missing_configuration_names_what_makes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("status", "run", "sync", "doctor"):
        run([verb, "--config", str(tmp_path / "none.toml")])
        said = capsys.readouterr()
        assert f"postamt-sync bootstrap init --output {tmp_path}/none.toml" in said.out + said.err


@pytest.mark.slow
def test_only_what_cannot_be_shown_again_is_shown_once() -> None:
    """Dovecot keeps a hash of a password, nobody a passphrase; those for SES lie in a file."""
    promises = {where for where, text in texts() if re.search(r"sho\w+ (it )?this once", text)}
    assert promises == {"cli/dovecot.py", "cli/join_box.py", "cli/setup_bundle.py"}
