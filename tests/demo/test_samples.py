from email import message_from_bytes, policy

import pytest

from postamt_sync.demo.samples import ANNA, BRUNO, Sample, plain, samples


def every() -> list[Sample]:
    return [*samples(), plain("One more", "Another")]


def test_the_bytes_are_the_same_in_every_run() -> None:
    assert every() == every()


@pytest.mark.parametrize("sample", every(), ids=lambda sample: sample.title)
def test_line_ends_of_samples_are_crlf(sample: Sample) -> None:
    assert sample.message.endswith(b"\r\n")
    assert sample.message.count(b"\n") == sample.message.count(b"\r\n")
    assert sample.message.count(b"\r") == sample.message.count(b"\r\n")


def test_each_mail_has_its_own_message_id() -> None:
    ids = [message_from_bytes(s.message, policy=policy.default)["Message-ID"] for s in every()]
    assert len(set(ids)) == len(ids)


def test_they_are_varied() -> None:
    found = {sample.title: sample for sample in samples()}
    html = message_from_bytes(found["HTML with an attachment"].message, policy=policy.default)
    assert [part.get_content_type() for part in html.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/csv",
    ]
    blind = found["To Anna, Bcc to Bruno"]
    assert blind.recipients == (ANNA, BRUNO)
    assert BRUNO.encode() not in blind.message
    raw = found["Raw 8-bit header and body"].message
    head, _, body = raw.partition(b"\r\n\r\n")
    assert max(head) > 127
    assert max(body) > 127
    assert found["Spam, by SES's verdict"].spam == "FAIL"
    assert len(found["Several megabytes"].message) > 3_000_000
