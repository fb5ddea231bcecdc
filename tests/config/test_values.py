from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from postamt_sync.config import values

ODD_FOLDERS = [
    *("[Spam]", "50%", "a*b", 'a"b', "a\\b", "R&D", "a.~x", "x~", "INBOX.Spam", "{x}", "#x", "$x"),
    *("cur", "new", "tmp", "\u0131nbox", "\u00fc" * 74, "\U0001f4ee" * 37, "x" * 80),
    *("INBOX.INBOX", ".".join("abcdefghij" * 4)),
]
GOOD = [
    (values.Region, ["eu-west-1", "us-gov-west-1", "ap-southeast-3", "eusc-de-east-1"]),
    (values.BucketName, ["abc", "postamt-123456789012-eu-west-1-an", "a.b-c", "x" * 63]),
    (values.Prefix, ["", "incoming/", "a/b/", "Grüße/"]),
    (
        values.TopicArn,
        [
            "arn:aws:sns:eu-west-1:123456789012:postamt",
            "arn:aws-cn:sns:cn-north-1:123456789012:A_b-9",
        ],
    ),
    (values.TableName, ["", "abc", "Post_amt.x-1"]),
    (values.MailboxName, ["a", "thomas", "t.fox_2-x", "9"]),
    (values.StackName, ["postamt", "p-2", "abc", "a" * 30, "a--b", "xn-post"]),
    (
        values.Url,
        [
            "https://h/x",
            "http://127.0.0.1:5000/123/q",
            "https://u:p@h.example.com/",
            "https://[::1]:1/",
        ],
    ),
    (values.UrlOrEmpty, ["", "https://h/x"]),
    (
        values.SecretUrlOrEmpty,
        ["", "https://h/x?status=up&ping=", "http://127.0.0.1:3001/push/x", "http://[::1]/x"],
    ),
    (values.UrlPath, ["/", "/sns", "/a/b-c_d.e~f/"]),
    (values.Folder, ["", "Junk", "inbox", "INBOX", "Lists.Spam", "Müll eimer", *ODD_FOLDERS]),
    (values.LoopbackOrEmpty, ["", "127.0.0.1:9125", "[::1]:0", "localhost:1", "unix:/run/a.sock"]),
    (values.Network, ["127.0.0.1/32", "10.0.0.0/8", "2001:db8::/48", "::1/128"]),
    (values.AbsolutePath, ["/", "/a b/ü", "/a/../b"]),
    (values.Domain, ["example.com", "xn--bcher-kva.example"]),
]
BAD = [
    (
        values.Network,
        [
            "",
            "proxy",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "0.0.0.0/0",
            "::/0",
            "::ffff:10.0.0.1",
            "[::1]",
            "fe80::1%eth0",
            "10.0.0.0/8,127.0.0.1",
            "127.0.0.1:80",
            "\u0661.2.3.4",
            "1.2.3.4\n",
        ],
    ),
    (
        values.Region,
        ["", "eu", "eu-west", "EU-west-1", "eu-west-1a", "eu-west-1\n", "eu-west-\u0661"],
    ),
    (
        values.BucketName,
        ["", "ab", "x" * 64, "Abc", "a_b", "-ab", "ab-", "a..b", "1.2.3.4", "abc\n", "a/b"],
    ),
    (values.Prefix, ["/", "/a/", "a", "a\n/", "\x1b/", "ü" * 500 + "/"]),
    (
        values.TopicArn,
        [
            "",
            "postamt",
            "arn:aws:sqs:eu-west-1:123456789012:x",
            "arn:aws:sns::123456789012:x",
            "arn:aws:sns:eu-west-1:12:x",
            "arn:aws:sns:eu-west-1:123456789012:x.fifo",
            "arn:aws:sns:eu-west-1:123456789012:x\n",
        ],
    ),
    (values.SecretUrlOrEmpty, ["http://h/x", "ftp://h/x", "h", "https://h/#x", "https://h/ x"]),
    (values.TableName, ["ab", "a b c", "x" * 256]),
    (values.MailboxName, ["", "Thomas", ".a", "-a", "a/b", "..", "a\n", "ü", "x" * 65]),
    (
        values.StackName,
        [
            *("", "9a9", "Abc", "a_b", "x" * 31, "a", "ab", "ab-", "-ab", "a-", "abc\n", "9-mail"),
            *("xn--post", "sthree-post", "amzn-s3-demo-post", "a.b", "pöst", "pos\u0661"),
        ],
    ),
    (
        values.Url,
        [
            "",
            "h/x",
            "ftp://h/",
            "https://",
            "https:///x",
            "https://h:x/",
            "https://h:99999/",
            "https://h/a b",
            "https://h/\n",
            "https://h/?q=1",
            "https://h/#f",
            "https://ü/",
            "https://[::1/",
            "https://h:0/",
        ],
    ),
    (
        values.UrlPath,
        ["", "sns", "/a b", "/a?b", "//a", "/a//b", "/../a", "/a/.", "/%2e", "/ü", "/a\n"],
    ),
    (
        values.Folder,
        [
            *(" a", "a\n", "a\x1bb", "a/b", "a..b", ".a", "a.", ".", "x" * 81),
            *("~", "~x", "~.x", "~root", "\u00fc" * 75, "\U0001f4ee" * 38, "a\u00fc" * 40),
        ],
    ),
    (
        values.LoopbackOrEmpty,
        [
            *("0.0.0.0:1", "[::]:1", "192.168.1.1:1", "example.com:1", "127.0.0.1"),
            *("unix:", "unix:a.sock", "unix:/run/", "unix:/a\nb", "unix:/" + "x" * 107),
        ],
    ),
    (values.AbsolutePath, ["", ".", "a", "~/x", "$HOME/x", "/a\nb", "/a\x00b"]),
    (values.Domain, ["", "localhost", "a b.c", "*.example.com"]),
]


@pytest.mark.parametrize(("kind", "text"), [(k, t) for k, texts in GOOD for t in texts])
def test_taken_as_written(kind: object, text: str) -> None:
    assert str(TypeAdapter(kind).validate_python(text)) == text


@pytest.mark.parametrize(("kind", "text"), [(k, t) for k, texts in BAD for t in texts])
def test_refused_in_one_sentence(kind: object, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(text)
    (error,) = caught.value.errors()
    sentence = str(error["ctx"]["error"])
    assert sentence.startswith("must ")
    assert sentence.endswith((".", "-"))
    assert sentence.isprintable()
