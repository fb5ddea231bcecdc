"""The webmail's table: in memory and at AWS it behaves the same."""

from __future__ import annotations

import uuid
from typing import cast

import pytest

from postamt_sync.webmail.record_table import DynamoRecordTable, RecordTable
from tests.doubles.moto import Moto
from tests.doubles.webmail_ports import MemoryTable


@pytest.fixture(params=["memory", pytest.param("dynamodb", marks=pytest.mark.slow)])
def table(request: pytest.FixtureRequest) -> RecordTable:
    if request.param == "memory":
        return MemoryTable()
    cloud = cast("Moto", request.getfixturevalue("emulator"))
    name = f"webmail-{uuid.uuid4().hex}"
    cloud.make_records(name)
    return DynamoRecordTable(cloud.client("dynamodb"), name)


def test_a_record_is_kept_as_it_is(table: RecordTable) -> None:
    assert table.get("a", "b") is None
    assert table.put("a", "b", {"text": "ä", "number": 7, "empty": ""})
    assert table.get("a", "b") == {"text": "ä", "number": 7, "empty": ""}
    assert table.put("a", "b", {"number": 8})
    assert table.get("a", "b") == {"number": 8}
    table.delete("a", "b")
    table.delete("a", "b")
    assert table.get("a", "b") is None
    with pytest.raises(ValueError, match="key"):
        table.put("a", "b", {"name": "c"})


def test_it_is_written_only_as_expected(table: RecordTable) -> None:
    assert not table.put("a", "b", {"n": 1}, expect={"n": 0})
    assert not table.update("a", "b", {"n": 1}, expect={})
    assert table.get("a", "b") is None
    assert table.put("a", "b", {"n": 1, "word": "x"}, expect=None)
    assert not table.put("a", "b", {"n": 2}, expect=None)
    assert not table.put("a", "b", {"n": 2}, expect={"n": 1, "word": "y"})
    assert not table.update("a", "b", {"n": 2}, expect={"n": 3})
    assert table.update("a", "b", {"n": 2, "status": "new"}, expect={"n": 1})
    assert table.update("a", "b", {"n": 3}, expect={})
    assert table.get("a", "b") == {"n": 3, "word": "x", "status": "new"}


def test_names_come_page_by_page_both_ways(table: RecordTable) -> None:
    for number in range(5):
        table.put("a", f"n{number}", {"n": number})
    table.put("other", "n9", {"n": 9})
    for newest_first, wanted in ((False, [0, 1, 2, 3, 4]), (True, [4, 3, 2, 1, 0])):
        after, found = "", []
        while True:
            page = table.names("a", most=2, after=after, newest_first=newest_first)
            found += [fields["n"] for _, fields in page.found]
            if not (after := page.after):
                break
        assert found == wanted
    page = table.names("a", most=9, between=("n1", "n3"))
    assert [name for name, _ in page.found] == ["n1", "n2", "n3"]
    assert table.names("none", most=9).found == ()
