"""One cause is one finding: what follows from it is told with it."""

from __future__ import annotations

from postamt_sync.doctor.finding import (
    CREDENTIALS,
    STACK,
    Finding,
    FindingCause,
    Missing,
    Severity,
    causes,
)


def bad(
    subject: str, cause: FindingCause = "", *, follows: bool = False, words: str = ""
) -> Finding:
    words = words or f"Wrong: {subject}."
    return Finding(subject, Severity.FAILURE, words, "Mend it.", cause, follows)


def told(*findings: Finding) -> dict[str, list[str]]:
    because = causes(findings)
    roots = [n for n in range(len(findings)) if n not in because]
    return {
        findings[root].subject: [
            findings[n].subject for n, cause in because.items() if cause == root
        ]
        for root in roots
    }


def test_what_has_no_cause_stands_alone() -> None:
    assert told(bad("a"), bad("b")) == {"a": [], "b": []}


def test_what_follows_is_told_with_its_cause_wherever_that_stands() -> None:
    found = told(
        bad("SES", CREDENTIALS, follows=True), bad("credentials", CREDENTIALS), bad("disk")
    )
    assert found == {"credentials": ["SES"], "disk": []}


def test_a_domain_that_is_there_is_no_cause() -> None:
    a, b = bad("MX", "example.com", follows=True), bad("TXT", "example.com", follows=True)
    assert told(a, b) == {"MX": [], "TXT": []}


def test_a_domain_that_is_called_like_what_is_missing_is_another_cause() -> None:
    found = told(bad("MX", "missing bucket", follows=True), bad("bucket", Missing("bucket")))
    assert found == {"MX": [], "bucket": []}


def test_domains_are_apart() -> None:
    found = told(
        bad("MX one", "one.example"),
        bad("TXT one", "one.example", follows=True),
        bad("TXT two", "two.example", follows=True),
    )
    assert found == {"MX one": ["TXT one"], "TXT two": []}


def test_no_bucket() -> None:
    found = told(
        bad("bucket", Missing("bucket")),
        bad("announcements", Missing("bucket"), follows=True),
        bad("permission mail", Missing("bucket"), follows=True),
        bad("queue"),
    )
    assert found == {"bucket": ["announcements", "permission mail"], "queue": []}


def test_no_bucket_for_who_may_not_see_it() -> None:
    one, two = (bad(s, Missing("bucket"), follows=True) for s in ("list", "get"))
    assert told(one, two) == {"list": ["get"]}


def test_no_stack() -> None:
    found = told(
        bad("SMTP user", Missing("SMTP user")),
        bad("identity", STACK, follows=True),
        bad("bucket", Missing("bucket")),
        bad("topic", Missing("topic")),
        bad("permission queue", Missing("queue"), follows=True),
    )
    assert found == {"bucket": ["SMTP user", "identity", "topic", "permission queue"]}


def test_two_things_that_are_missing_are_two() -> None:
    found = told(
        bad("topic", Missing("topic")),
        bad("queue", Missing("queue")),
        bad("identity", STACK, follows=True),
    )
    assert found == {"topic": [], "queue": [], "identity": []}


def test_the_same_of_several_is_told_once() -> None:
    assert told(*(bad(s, words="No answer within 20 s.") for s in "abc")) == {"a": ["b", "c"]}


def test_what_is_well_is_nobodys_consequence() -> None:
    well = Finding("b", Severity.OK, "Well.", "", CREDENTIALS, follows=True)
    assert told(bad("a", CREDENTIALS), well) == {"a": [], "b": []}
