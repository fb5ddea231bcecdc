"""Whatever a person does to the file: settings come out, or a report that can be printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postamt_sync.config import load
from postamt_sync.errors import ConfigurationError
from tests.support.campaign import examples

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
LINES = [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
VALUES = [
    *("3", "-1", "nan", "true", "1979-05-27", '""', '"x"', '"\\u0000"', "[]", "[1]", '["a"]'),
    *("{}", "{a=1}", "[{}]", "[[1]]", "[{name=3}]", f'"{"x" * 3000}"'),
]
TEXTS = ["null", "3", "[]", "{}", "[{}]", "[null]", '"x"', "x", "", '{"a":1}', '[{"name":[]}]']
NAMES = ["MAILBOXES", "WEBHOOK", "WEBHOOK__LISTEN", "QUEUE", "STATE_DIR", "STACK__DOMAINS"]


@st.composite
def files(draw: st.DrawFn) -> str:
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["value", "delete", "move", "cut", "brackets"])):
            case "value":
                lines[place] = f"{lines[place].partition('=')[0]} = {draw(st.sampled_from(VALUES))}"
            case "delete":
                del lines[place]
            case "move":
                lines.insert(place, lines[draw(st.integers(0, len(lines) - 1))])
            case "cut":
                lines[place] = lines[place][: draw(st.integers(0, len(lines[place])))]
            case "brackets":
                lines[place] = lines[place].replace("[[", "[").replace("]]", "]")
    return "\n".join(lines)


@given(
    text=files(),
    variables=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TEXTS), max_size=2),
)
@settings(max_examples=examples(150), deadline=None)
def test_settings_or_a_report(
    tmp_path_factory: pytest.TempPathFactory, text: str, variables: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "mangled.toml"
    path.write_text(text, encoding="utf-8")
    environ = {f"POSTAMT_SYNC_{name}": value for name, value in variables.items()}
    try:
        problems = [] if load(path, environ).default_mailbox else None
    except ConfigurationError as error:
        problems = list(error.problems) or None
    assert problems is not None
    assert all(str(problem).isprintable() for problem in problems)
    assert not [problem for problem in problems if "cannot be read." in problem.wrong]
