"""The questions of `setup`, asked one after the other; each answer is checked at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import typer
from rich.console import Console
from rich.text import Text

from postamt_sync.bootstrap.pricing import Usage, bill
from postamt_sync.cli.console import paragraph
from postamt_sync.cli.typed_text import utf8
from postamt_sync.errors import UsageError
from postamt_sync.events import printable
from postamt_sync.setup.answers import AnswerFile, Answers
from postamt_sync.setup.nearest_region import nearest_region, read_region, shown
from postamt_sync.setup.typed_answers import (
    read_certificate,
    read_domains,
    read_host,
    read_people,
    read_public_url,
    read_yes,
)

MAILS_PER_DAY = 100
"""The volume for which the monthly price is quoted."""
NOTHING = Answers()
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    `take` adds a typed answer to the answers, or raises ValueError that says what would be right.
    `shows` says how the answer was understood. `suggests` returns what Enter stands for, None for
    nothing. `asked` says whether the other answers call for this question.
    """

    field: str
    flags: str
    ask: str
    about: str
    prompt: str
    label: str
    take: Callable[[str, Answers], Answers]
    shows: Callable[[Answers], str]
    suggests: Callable[[Answers], str | None] = lambda _: None
    asked: Callable[[Answers], bool] = lambda _: True

    def is_open(self, answers: Answers) -> bool:
        return getattr(answers, self.field) is None and self.asked(answers)


def price() -> str:
    """Return the monthly cost, in words."""
    usd = bill(Usage(MAILS_PER_DAY)).usd
    return f"about {usd:.2f} USD a month at {MAILS_PER_DAY} mails a day"


def people_shown(answers: Answers) -> str:
    domains = answers.domains or ("?",)
    return ", ".join(f"{name}@{domains[0]}" for name in answers.people or ())


def _serves(answers: Answers) -> bool:
    return bool(answers.dovecot)


def _take_certificate(text: str, answers: Answers) -> Answers:
    chain, key = read_certificate(text)
    return replace(answers, certificate=chain, certificate_key=key)


def _domains(answers: Answers) -> Sequence[str]:
    return answers.domains or ()


QUESTIONS = (
    Question(
        *("domains", "--domain", "Which domain is to get mail?"),
        "As in example.org; several with commas between them.",
        *("Domain", "Domain"),
        lambda text, a: replace(a, domains=read_domains(text)),
        lambda a: ", ".join(_domains(a)),
    ),
    Question(
        *("people", "--person", "Who gets mail there?"),
        "Names or addresses, with commas between them. The first also gets what is addressed to "
        "nobody else.",
        *("People", "People"),
        lambda text, a: replace(a, people=read_people(text, _domains(a))),
        people_shown,
    ),
    Question(
        *("region", "--region", "In which of AWS's regions?"),
        "The nearest one in which mail is received is suggested: {price}, as in us-east-1; other "
        "regions differ by cents.",
        *("Region", "Region"),
        lambda text, a: replace(a, region=read_region(text)),
        lambda a: shown(a.region or ""),
        lambda _: nearest_region(),
    ),
    Question(
        *("public_url", "--public-url or --no-port", "Can the world reach the box at home?"),
        "If a port is open to it, type its name, as in home.example.org: mail then comes within a "
        "second or two. Without one nothing has to be opened, and it comes as fast by a queue.",
        *("Name, or no", "Reached at"),
        lambda text, a: replace(a, public_url=read_public_url(text)),
        lambda a: a.public_url or "no port: by the queue",
        lambda _: "no",
    ),
    Question(
        *("here", "--here or --elsewhere", "Is this machine the box where the mail will lie?"),
        "If not, one file is made that you copy there.",
        *("This machine", "The box"),
        lambda text, a: replace(a, here=read_yes(text)),
        lambda a: "this machine" if a.here else "another machine",
        lambda _: "n",
    ),
    Question(
        *("dovecot", "--dovecot or --other-server", "Shall Dovecot serve the mail over IMAP?"),
        "It is installed and configured on the box, with a login for each person. Otherwise the "
        "mail lies there in Maildirs, for whatever else you use.",
        *("Dovecot", "Read by"),
        lambda text, a: replace(a, dovecot=read_yes(text)),
        lambda a: "Dovecot, over IMAP" if a.dovecot else "Maildirs alone",
        lambda _: "y",
    ),
    Question(
        *("imap_host", "--imap-host", "By which name do mail clients reach the box?"),
        "The DNS has to lead it to the box, at home or to the world.",
        *("Name", "IMAP server"),
        lambda text, a: replace(a, imap_host=read_host(text)),
        lambda a: a.imap_host or "",
        lambda a: f"mail.{_domains(a)[0]}" if _domains(a) else None,
        _serves,
    ),
    Question(
        *("certificate", "--certificate", "Which certificate does it have?"),
        "The path of its chain on the box. With none, certbot's is taken if it has one there, else "
        "one is made, which mail clients ask about once.",
        *("Path, or none", "Certificate"),
        _take_certificate,
        lambda a: a.certificate or "certbot's, else one made on the box",
        lambda _: "none",
        _serves,
    ),
)


def open_questions(answers: Answers) -> list[Question]:
    return [question for question in QUESTIONS if question.is_open(answers)]


def ask_all(
    console: Console, file: AnswerFile, answers: Answers, before: Answers = NOTHING
) -> Answers:
    """Ask the open questions, suggesting the answers given `before`; each answer is kept before the
    next question is asked."""
    for question in QUESTIONS:
        if question.is_open(answers):
            answers = _ask(console, question, answers, before)
            file.write(answers)
    return answers


def suggested(answers: Answers) -> Answers:
    """Answer open questions with what is suggested. Raises UsageError for those without any."""
    for question in QUESTIONS:
        suggestion = question.suggests(answers)
        if question.is_open(answers) and suggestion is not None:
            answers = question.take(suggestion, answers)
    refuse_open(answers)
    return answers


def refuse_open(answers: Answers) -> None:
    """Raise UsageError that names the options of all open questions, if there are any."""
    # Questions that depend on an open one may have to be asked too.
    served = answers if answers.dovecot is not None else replace(answers, dovecot=True)
    missing = [q.flags for q in QUESTIONS if q.is_open(answers) or q.is_open(served)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UsageError(
            f"{', '.join(missing)} {verb} missing, and without a terminal nothing is asked.",
            "Give them. With --yes what is suggested is taken for all but --domain and --person.",
        )


def flagged(field: str, flag: str, text: str, answers: Answers) -> Answers:
    """Add an answer from the command line. Raises UsageError if it is invalid."""
    question = next(question for question in QUESTIONS if question.field == field)
    try:
        return question.take(text, answers)
    except ValueError as error:
        raise UsageError(f"{flag} {printable(text, 80)}: {error}", "Give another.") from None


def _typed_before(field: str, before: Answers) -> str | None:
    """Return what a person would type to answer as before; None if there was no answer."""
    match getattr(before, field):
        case None:
            return None
        case bool() as yes:
            return "y" if yes else "n"
        case tuple() as several:
            return ", ".join(several)
        case "":
            return "none" if field == "certificate" else "no"
        case text:
            return str(text)


def _ask(console: Console, question: Question, answers: Answers, before: Answers) -> Answers:
    console.print()
    console.print(Text(question.ask, style="bold"))
    paragraph(console, question.about.format(price=price()), _INDENT)
    suggestion = _typed_before(question.field, before) or question.suggests(answers)
    while True:
        typed: str = typer.prompt(
            f"{_INDENT}{question.prompt}",
            default=suggestion or "",
            show_default=suggestion is not None,
        )
        try:
            taken = question.take(utf8(typed), answers)
        except (ValueError, UsageError) as error:
            paragraph(console, str(error), _INDENT, "yellow")
            continue
        understood = question.shows(taken)
        if understood != typed.strip():
            paragraph(console, f"= {understood}", _INDENT, "green")
        return taken


def show_answers(console: Console, answers: Answers) -> None:
    """Print the answers, for the person to check."""
    console.print()
    for question in QUESTIONS:
        if getattr(answers, question.field) is not None and question.asked(answers):
            line = f"{question.label:<13}{question.shows(answers)}"
            paragraph(console, line, _INDENT)
