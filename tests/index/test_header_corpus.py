"""What senders mean is read off all of the corpus; `tests/benchmarks/headers.py` compares."""

from __future__ import annotations

from postamt_sync.index.summary import summary_of_head
from postamt_sync.mail.headers import addresses
from tests.support.header_corpus import samples


def test_every_sample_is_read_as_it_is_meant() -> None:
    wrong = []
    for sample in samples():
        found = addresses(sample.head), summary_of_head(sample.head).subject
        if found != (sample.to, sample.subject):
            wrong.append((sample.kind, sample.head, found))
    assert wrong == []


def test_the_corpus_has_every_kind_and_is_the_same_each_time() -> None:
    every = list(samples())
    assert len(every) > 600
    assert len({sample.kind for sample in every}) > 25
    assert every == list(samples())
