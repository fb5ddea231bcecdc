from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.delivery.filename import FileName, final_name, first_stem, make_stem, parse_name
from postamt_sync.mail.arrival import etag_hash, mail_id

ETAG = "d41d8cd98f00b204e9800998ecf8427e"
STEM = "1700000000.M250000K6bda6304b1c7d8719c83f4ecEf215faf9d88b7f0a.postamt"
NAME_MAX = 255
EVERY_FLAG = ":2,DFPRST" + "abcdefghijklmnopqrstuvwxyz"

# Frozen: files with these names lie in mailboxes, and a lost ledger is rebuilt from them.
VECTORS = [
    (
        ("mail", "incoming/abc", ETAG, 1_700_000_000.0, 0),
        "1700000000.M000000K6bda6304b1c7d8719c83f4ecEf215faf9d88b7f0a.postamt",
    ),
    (
        ("mail", "incoming/abc", ETAG, 1_700_000_000.0, 1),
        "1700000000.M000000K6bda6304b1c7d8719c83f4ecEf215faf9d88b7f0aR1.postamt",
    ),
    (
        ("mail", "incoming/gr\u00fc\u00dfe/\U0001f4ee", ETAG, 1_700_000_000.25, 0),
        "1700000000.M250000Kee690781b3c04c1affb74d3cEf215faf9d88b7f0a.postamt",
    ),
    (
        ("mail", "incoming/gr\u00fc\u00dfe", "9b2cf535f27731c974343645a3985328-3", 0.0, 12),
        "0.M000000K27cd4ad8d400f6a33f8121b1E229dc134c6154921R12.postamt",
    ),
    (
        (
            "postamt-123456789012-eu-west-1-an",
            "incoming/../../etc/passwd\n",
            '"<odd>\u00e9',
            4_102_444_799.999999,
            999_999,
        ),
        "4102444799.M999999K997713d41979eb09fc72f261Ead4717379c2ac0d3R999999.postamt",
    ),
    (("a", "b", "c", -5.0, 0), "0.M000000K59b271ae1bbcb1d31d419298E2e7d2c03a9507ae2.postamt"),
]

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
times = st.integers(0, 4_102_444_800_000_000).map(lambda micros: micros / 1_000_000)
editions = st.integers(0, 999_999)
sizes = st.integers(0, 10**15 - 1)


@pytest.mark.parametrize(("facts", "stem"), VECTORS)
def test_stems_are_frozen(facts: tuple[str, str, str, float, int], stem: str) -> None:
    assert make_stem(*facts) == stem


def test_hashes_are_frozen() -> None:
    assert etag_hash(ETAG) == "f215faf9d88b7f0a"
    assert mail_id("mail", "incoming/abc") == "6bda6304b1c7d8719c83f4ec"


def test_the_final_name_is_frozen() -> None:
    assert final_name(STEM, 726, 726) == f"{STEM},S=726,W=726"


@given(texts, texts, texts, times, editions, sizes, sizes)
def test_what_is_named_can_be_read(
    bucket: str, key: str, etag: str, at: float, edition: int, size: int, vsize: int
) -> None:
    stem = make_stem(bucket, key, etag, at, edition)
    name = parse_name(final_name(stem, size, vsize) + EVERY_FLAG)
    assert name is not None
    assert name.stem == stem
    assert (name.mail_id, name.etag_hash) == (mail_id(bucket, key), etag_hash(etag))
    assert (name.edition, name.size, name.vsize) == (edition, size, vsize)
    assert name.stored_at == pytest.approx(at, abs=2e-6)


@given(texts, texts, texts, st.floats(-1e12, 253_402_300_799), editions, sizes, sizes)
def test_a_name_fits_with_every_flag_and_says_nothing_foreign(
    bucket: str, key: str, etag: str, at: float, edition: int, size: int, vsize: int
) -> None:
    name = final_name(make_stem(bucket, key, etag, at, edition), size, vsize)
    assert len((name + EVERY_FLAG).encode()) < NAME_MAX
    assert re.fullmatch(
        r"\d+\.M\d{6}K[0-9a-f]{24}E[0-9a-f]{16}(R\d+)?\.postamt,S=\d+,W=\d+", name, re.ASCII
    )


@given(texts, texts)
def test_bucket_and_key_cannot_be_shifted_into_each_other(bucket: str, key: str) -> None:
    bucket = bucket.replace("\0", "")  # S3 has no such bucket names
    assert mail_id(bucket + "x", key) != mail_id(bucket, "x" + key)


class TestParsing:
    def test_the_stem_alone(self) -> None:
        assert parse_name(STEM) == FileName(
            stem=STEM,
            mail_id="6bda6304b1c7d8719c83f4ec",
            etag_hash="f215faf9d88b7f0a",
            edition=0,
            stored_at=1_700_000_000.25,
            size=None,
            vsize=None,
        )

    @pytest.mark.parametrize("more", ["", ":2,", ":2,FSab", ";2,S", ",X=1", ",U=7:2,S"])
    def test_what_clients_add_is_passed_over(self, more: str) -> None:
        name = parse_name(f"{STEM},S=10,W=12{more}")
        assert name is not None
        assert (name.stem, name.size, name.vsize) == (STEM, 10, 12)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "1700000000.M1P2.host,S=1,W=1:2,S",
            "1700000000.V801I2M3.host",
            STEM.replace("postamt", "postamtx"),
            STEM.replace("K6b", "K6B"),
            STEM.replace("M25", "M2"),
            STEM.replace("1700000000", "\u0661700000000"),
            STEM.replace(".postamt", "R0.postamt"),
            "." + STEM,
            "x" + STEM,
            STEM + "x",
            STEM + "\n",
        ],
    )
    def test_foreign_names_are_not_ours(self, name: str) -> None:
        assert parse_name(name) is None

    @pytest.mark.parametrize("sizes", [",S=1,W=1x", ",S=1", ",W=1,S=1", ",S=-1,W=1"])
    def test_sizes_that_are_not_ours_are_not_believed(self, sizes: str) -> None:
        name = parse_name(STEM + sizes)
        assert name is not None
        assert (name.size, name.vsize) == (None, None)

    @given(st.text(max_size=120))
    def test_any_text_can_be_asked(self, text: str) -> None:
        assert parse_name(text) is None or ".postamt" in text


def test_editions_of_one_mail_have_names_of_their_own() -> None:
    stems = {make_stem("mail", "k", ETAG, 1.0, edition) for edition in range(20)}
    assert len(stems) == 20


def test_every_edition_goes_back_to_one_stem() -> None:
    assert {first_stem(make_stem("mail", "k", ETAG, 1.0, n)) for n in range(20)} == {
        make_stem("mail", "k", ETAG, 1.0)
    }
    assert first_stem("R2") == "R2"
